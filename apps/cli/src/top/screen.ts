const ENTER = "\x1b[?1049h\x1b[?25l"; // the alternate screen, without a cursor
const LEAVE = "\x1b[?25h\x1b[?1049l";
const BEGIN = "\x1b[?2026h\x1b[H"; // a terminal that can draws the frame at once
const END = "\x1b[J\x1b[?2026l";
const REST_OF_LINE = "\x1b[K";

/** The whole terminal, taken over: as it was when it is given back. */
export class Screen implements Disposable {
  readonly #onKey: (data: Buffer) => void;
  readonly #onResize: () => void;
  readonly #restore = () => {
    process.stdout.write(LEAVE);
  };
  #isOver = false;

  constructor(options: { onKey: (key: string) => void; onResize: () => void }) {
    this.#onKey = (data) => {
      for (const key of data.toString("latin1")) options.onKey(key);
    };
    this.#onResize = options.onResize;
    process.stdin.setRawMode(true);
    process.stdin.on("data", this.#onKey);
    process.stdin.resume();
    process.stdout.on("resize", this.#onResize);
    process.on("exit", this.#restore); // whatever ends us
    process.stdout.write(ENTER);
  }

  get size(): { columns: number; rows: number } {
    return { columns: process.stdout.columns || 80, rows: process.stdout.rows || 24 };
  }

  draw(lines: readonly string[]): void {
    if (!this.#isOver) process.stdout.write(`${BEGIN}${lines.map((line) => line + REST_OF_LINE).join("\r\n")}${END}`);
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    process.off("exit", this.#restore);
    process.stdout.off("resize", this.#onResize);
    process.stdin.off("data", this.#onKey);
    process.stdin.setRawMode(false);
    process.stdin.pause();
    this.#restore();
  }
}
