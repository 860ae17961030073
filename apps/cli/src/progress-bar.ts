import { approximateSize } from "./size.ts";

const REDRAW_MS = 100;
const BAR_CELLS = 24;

/** How far a transfer is, as one line on standard error that is drawn anew ten times a second. Nothing when it is not shown. */
export class ProgressBar {
  readonly #label: string;
  readonly #isShown: boolean;
  readonly #now: () => number;
  readonly #write: (text: string) => void;
  readonly #startedAt: number;
  #drawnAt = Number.NEGATIVE_INFINITY;
  #isDrawn = false;

  constructor(label: string, options: { isShown: boolean; now?: () => number; write?: (text: string) => void }) {
    this.#label = label;
    this.#isShown = options.isShown;
    this.#now = options.now ?? (() => performance.now());
    this.#write = options.write ?? ((text) => process.stderr.write(text));
    this.#startedAt = this.#now();
  }

  show(doneBytes: number, totalBytes: number): void {
    const now = this.#now();
    if (!this.#isShown || (now - this.#drawnAt < REDRAW_MS && doneBytes < totalBytes)) return;
    this.#drawnAt = now;
    this.#isDrawn = true;
    const part = totalBytes === 0 ? 1 : doneBytes / totalBytes;
    const cells = Math.floor(part * BAR_CELLS);
    const bytesPerSecond = Math.round(doneBytes / Math.max((now - this.#startedAt) / 1000, 0.001));
    const bar = "#".repeat(cells).padEnd(BAR_CELLS, ".");
    this.#write(
      `\r\x1b[K${this.#label} [${bar}] ${Math.floor(part * 100)}% of ${approximateSize(totalBytes)}, ${approximateSize(bytesPerSecond)}/s`,
    );
  }

  /** Leaves the line as it stands. */
  end(): void {
    if (this.#isDrawn) this.#write("\n");
    this.#isDrawn = false;
  }
}
