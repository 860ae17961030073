/** So many failures in a row, and the server is left alone. */
const FAILURES_MAX = 3;
const FIRST_PAUSE_MS = 250;
const PAUSE_MS_MAX = 4_000;

/**
 * Whether one server of the engine is asked at all. Open: it is left alone for a while, a longer one each time; then one probe says whether it is asked
 * again. The probe is nobody's request.
 */
export class Breaker {
  #failures = 0;
  #pauseMs = FIRST_PAUSE_MS;
  #openUntilMs: number | undefined;
  #isProbing = false;

  get isOpen(): boolean {
    return this.#openUntilMs !== undefined;
  }

  succeeded(): void {
    this.#failures = 0;
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#openUntilMs = undefined;
    this.#isProbing = false;
  }

  /** @returns Whether this failure has opened it. */
  failed(nowMs: number, isHopeless = false): boolean {
    this.#failures++;
    if (this.isOpen) {
      if (!this.#isProbing) return false; // asked before it was opened
      this.#isProbing = false;
      this.#pauseMs = Math.min(PAUSE_MS_MAX, this.#pauseMs * 2);
      this.#openUntilMs = nowMs + this.#pauseMs;
      return false;
    }
    if (this.#failures < FAILURES_MAX && !isHopeless) return false;
    this.#openUntilMs = nowMs + this.#pauseMs;
    return true;
  }

  /** True once for each pause that is over: the caller probes, and says how that went. */
  takeProbe(nowMs: number): boolean {
    if (this.#openUntilMs === undefined || this.#isProbing || nowMs < this.#openUntilMs) return false;
    this.#isProbing = true;
    return true;
  }
}
