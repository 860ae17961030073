/** After the first fault nothing is tried for so long; after each further one for twice as long, up to the most. */
const PAUSE_MS = 1_000;
const PAUSE_MS_MAX = 30_000;
/** It is called good again when it has worked, and not failed for so long: what fails now and then is bad all the time. */
const GOOD_AFTER_MS = 3_000;

/** Whether the disk takes what it is given. After a fault it is left alone for a while, then tried again: what recovers needs nobody to say so. */
export class Medium {
  readonly #nowMs: () => number;
  readonly #onChange: (isGood: boolean, error: Error | undefined) => void;
  #faults = 0;
  #failedMs = 0;
  #pauseUntilMs = 0;

  /**
   * @param nowMs Monotonic.
   * @param onChange Told when it turns bad, and when it is good again.
   */
  constructor(nowMs: () => number, onChange: (isGood: boolean, error: Error | undefined) => void) {
    this.#nowMs = nowMs;
    this.#onChange = onChange;
  }

  get isGood(): boolean {
    return this.#faults === 0;
  }

  /** Whether something may be tried now. */
  get isUsable(): boolean {
    return this.#faults === 0 || this.#nowMs() >= this.#pauseUntilMs;
  }

  failed(error: Error): void {
    const wasGood = this.isGood;
    this.#failedMs = this.#nowMs();
    this.#pauseUntilMs = this.#failedMs + Math.min(PAUSE_MS_MAX, PAUSE_MS * 2 ** this.#faults);
    this.#faults++;
    if (wasGood) this.#onChange(false, error);
  }

  worked(): void {
    if (this.#faults === 0 || this.#nowMs() < this.#failedMs + GOOD_AFTER_MS) return;
    this.#faults = 0;
    this.#onChange(true, undefined);
  }
}
