/** For how long an origin that fails is left alone, in milliseconds. */
export interface OriginRests {
  /** After the first failure. Each further one in a row doubles it. */
  firstMs: number;
  maxMs: number;
}

/**
 * A restart is over in a second; of an origin that is gone, a request each half minute finds out soon enough that it is back, and whoever makes that
 * request is sent on to another.
 */
export const DEFAULT_RESTS: OriginRests = { firstMs: 1_000, maxMs: 30_000 };

/**
 * What the exchanges with one origin have shown of it. It is good until one fails; then it rests, and when that is over one exchange at a time, the
 * trial, finds out whether it is good again.
 */
export class OriginHealth {
  readonly #rests: OriginRests;
  #failuresInRow = 0;
  #restUntilMs = 0;
  #isOnTrial = false;

  constructor(rests: OriginRests) {
    this.#rests = rests;
  }

  /** When its rest is over; in the past for one that has none. Of several that rest, the one with the earliest is the least bad. */
  get restUntilMs(): number {
    return this.#restUntilMs;
  }

  isResting(nowMs: number): boolean {
    return nowMs < this.#restUntilMs;
  }

  /** Whether an exchange may go to it while there are others. */
  mayBeAsked(nowMs: number): boolean {
    return this.#failuresInRow === 0 || (!this.isResting(nowMs) && !this.#isOnTrial);
  }

  /** An exchange goes to it. @returns Whether that is the trial: then what becomes of it has to be told. */
  asked(nowMs: number): boolean {
    if (this.#failuresInRow === 0 || this.#isOnTrial || this.isResting(nowMs)) return false;
    this.#isOnTrial = true;
    return true;
  }

  /** It has sent the head of a response, whatever its status. @returns Whether it was taken for failing until now. */
  answered(): boolean {
    const wasFailing = this.#failuresInRow > 0;
    this.#failuresInRow = 0;
    this.#restUntilMs = 0;
    this.#isOnTrial = false;
    return wasFailing;
  }

  /** It has not. @returns The rest that begins with it; undefined when it rests already: what was under way then fails together. */
  failed(nowMs: number): number | undefined {
    this.#isOnTrial = false;
    if (this.isResting(nowMs)) return undefined;
    const restMs = Math.min(this.#rests.maxMs, this.#rests.firstMs * 2 ** this.#failuresInRow);
    this.#failuresInRow++;
    this.#restUntilMs = nowMs + restMs;
    return restMs;
  }

  /** The trial has shown nothing: given up by who asked, or never sent. */
  trialEnded(): void {
    this.#isOnTrial = false;
  }
}
