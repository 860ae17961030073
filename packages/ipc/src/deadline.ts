/**
 * A blocking C call is given at most this long at once: its deadline is on CLOCK_REALTIME, which an administrator or NTP
 * may set back an hour, and we measure on the monotonic clock.
 */
const SLICE_MS_MAX = 1000;

/** setTimeout makes 1 ms of anything longer. */
const TIMER_MS_MAX = 2 ** 31 - 1;

// struct timespec { time_t seconds; long nanoseconds }: two 64-bit integers, written as 32-bit halves (no BigInt).
const timespec = new Uint32Array(new ArrayBuffer(16));

/** The moment a blocking call has to end by, for the C functions that take an absolute CLOCK_REALTIME time. */
export class Deadline {
  readonly #endMs: number;

  /** @param timeoutMs Milliseconds from now; `Infinity` never ends. */
  constructor(timeoutMs: number) {
    assertTimeout(timeoutMs);
    this.#endMs = performance.now() + timeoutMs;
  }

  /** Milliseconds left; negative once it has passed. */
  get restMs(): number {
    return this.#endMs - performance.now();
  }

  get hasPassed(): boolean {
    return performance.now() >= this.#endMs;
  }

  /** A `struct timespec` for the next call: the deadline, or the end of this slice. Valid until the next use. */
  timespec(): Uint32Array {
    const restMs = Math.max(0, Math.min(this.restMs, SLICE_MS_MAX));
    const timeMs = Date.now() + restMs; // Date.now() cuts, so this may be 1 ms early: hasPassed then says "again"
    const seconds = Math.floor(timeMs / 1000);
    timespec[0] = seconds >>> 0;
    timespec[1] = Math.floor(seconds / 2 ** 32);
    timespec[2] = Math.floor((timeMs - seconds * 1000) * 1e6);
    return timespec;
  }
}

/** @throws {RangeError} Not a number of milliseconds: compared with NaN no wait would ever end. */
export function assertTimeout(timeoutMs: number | undefined): void {
  if (Number.isNaN(timeoutMs)) throw new RangeError("Cannot wait NaN milliseconds");
}

/**
 * Calls `act` once, `timeoutMs` from now at the earliest, however long that is; never for `Infinity`.
 *
 * @returns What takes the call back.
 */
export function after(timeoutMs: number, act: () => void): () => void {
  const endMs = performance.now() + timeoutMs;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const arm = (): void => {
    const restMs = endMs - performance.now();
    timer = setTimeout(restMs > TIMER_MS_MAX ? arm : act, Math.max(0, Math.min(restMs, TIMER_MS_MAX)));
  };
  if (timeoutMs !== Number.POSITIVE_INFINITY) arm();
  return () => clearTimeout(timer);
}
