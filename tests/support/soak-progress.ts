const REDRAW_MS = 200;
const BAR_CELLS = 12;

export interface SoakProgressOptions {
  label: string;
  /** What has come of it so far, in a few words. */
  counts: () => string;
  /** How much of it is over, from 0 to 1; without it that is told by `seconds`. */
  part?: () => number;
  /** How long it takes; without it that is guessed from `part`. */
  seconds?: number;
  isShown?: boolean;
  columns?: () => number;
  now?: () => number;
  write?: (text: string) => void;
}

/** How far a soak is, as the last line of a terminal (standard error), drawn anew five times a second. Elsewhere nothing is shown. */
export class SoakProgress implements Disposable {
  readonly #options: SoakProgressOptions;
  readonly #now: () => number;
  readonly #write: (text: string) => void;
  readonly #startedAt: number;
  readonly #timer: ReturnType<typeof setInterval> | undefined;
  #isDrawn = false;

  constructor(options: SoakProgressOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#write = options.write ?? ((text) => process.stderr.write(text));
    this.#startedAt = this.#now();
    if (!(options.isShown ?? process.stderr.isTTY === true)) return;
    this.#timer = setInterval(() => this.#draw(), REDRAW_MS);
    this.#timer.unref();
  }

  /** Takes the line away, so that others can be printed; it comes again by itself. */
  clear(): void {
    if (this.#isDrawn) this.#write("\r\x1b[K");
    this.#isDrawn = false;
  }

  /** Prints a line on standard output. */
  say(line: string): void {
    this.clear();
    console.log(line);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.clear();
  }

  #draw(): void {
    const columns = (this.#options.columns?.() ?? process.stderr.columns) || 80; // 0: the terminal does not know
    this.#write(`\r\x1b[K${this.#line().slice(0, columns - 1)}`);
    this.#isDrawn = true;
  }

  #line(): string {
    const { label, counts, seconds } = this.#options;
    const elapsed = (this.#now() - this.#startedAt) / 1000;
    const part = Math.min(1, this.#options.part?.() ?? elapsed / (seconds ?? 1));
    const guessed = part === 0 ? "" : ` of about ${clock(elapsed / part)}`;
    const total = seconds === undefined ? guessed : ` of ${clock(seconds)}`;
    const bar = "#".repeat(Math.floor(part * BAR_CELLS)).padEnd(BAR_CELLS, ".");
    return `${label} [${bar}] ${Math.floor(part * 100)}%, ${clock(elapsed)}${total}; ${counts()}`;
  }
}

/** `1:05`, `2:00:00`. */
function clock(seconds: number): string {
  const whole = Math.floor(seconds);
  const two = (value: number) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}
