/** One that should have fired so long ago has been called off by means that are not seen. */
const GIVEN_UP_MS = 2;
/** Bun takes what is longer for 1 ms, as it does what is no number. */
const DELAY_MS_MAX = 0x7fffffff;

/**
 * When the next timer of the calling thread is due. Bun tells nobody, so timers are seen on their way to it: `setTimeout`, `setInterval`, what calls them off and `Bun.sleep` are
 * called through this from then on, and do what they did. What is set by other means (`node:timers`, Bun's own) is not seen.
 */
export class BunTimers {
  /** When those that have not fired yet are due. */
  readonly #dueMs = new Map<unknown, number>();
  /** The earliest of that; not a number: it has to be looked for. */
  #nextMs = Number.POSITIVE_INFINITY;

  /** To be called once in a thread. */
  static watch(): BunTimers {
    const timers = new BunTimers();
    globalThis.setTimeout = timers.#seen(globalThis.setTimeout, false);
    globalThis.setInterval = timers.#seen(globalThis.setInterval, true);
    globalThis.clearTimeout = timers.#seenOff(globalThis.clearTimeout);
    globalThis.clearInterval = timers.#seenOff(globalThis.clearInterval);
    (Bun as { sleep: typeof Bun.sleep }).sleep = timers.#seenSleep(Bun.sleep);
    return timers;
  }

  private constructor() {}

  /** In how many milliseconds the next is due, 0 or less where it is; `Infinity`: none is. @param nowMs By `performance.now()`. */
  restMs(nowMs: number): number {
    if (!(this.#nextMs > nowMs)) this.#nextMs = this.#earliest(nowMs);
    return this.#nextMs - nowMs;
  }

  #earliest(nowMs: number): number {
    let earliestMs = Number.POSITIVE_INFINITY;
    for (const [timer, dueMs] of this.#dueMs) {
      if (dueMs < nowMs - GIVEN_UP_MS) this.#dueMs.delete(timer);
      else earliestMs = Math.min(earliestMs, dueMs);
    }
    return earliestMs;
  }

  #expect(timer: unknown, delay: unknown): void {
    const ms = Number(delay);
    const dueMs = performance.now() + (ms >= 1 && ms <= DELAY_MS_MAX ? ms : 1);
    this.#dueMs.set(timer, dueMs);
    if (dueMs < this.#nextMs) this.#nextMs = dueMs;
  }

  #forget(timer: unknown): void {
    const dueMs = this.#dueMs.get(timer);
    if (dueMs === undefined) return;
    this.#dueMs.delete(timer);
    if (dueMs === this.#nextMs) this.#nextMs = Number.NaN;
  }

  /** Proxies, so that what else there is of each function (`util.promisify.custom`) stays. */
  #seen<Set extends typeof setTimeout | typeof setInterval>(set: Set, isRepeated: boolean): Set {
    return new Proxy(set, {
      apply: (target, self, given: unknown[]) => {
        const [callback, delay, ...rest] = given;
        if (typeof callback !== "function") return Reflect.apply(target, self, given); // which says what it thinks of that
        const timers = this;
        function fire(this: unknown, ...args: unknown[]): unknown {
          timers.#forget(timer);
          // Bun counts from before this call.
          if (isRepeated) timers.#expect(timer, delay);
          return Reflect.apply(callback as () => unknown, this, args);
        }
        const timer: unknown = Reflect.apply(target, self, [fire, delay, ...rest]);
        this.#expect(timer, delay);
        return timer;
      },
    });
  }

  #seenOff<Clear extends typeof clearTimeout>(clear: Clear): Clear {
    return new Proxy(clear, {
      apply: (target, self, given: unknown[]) => {
        this.#forget(given[0]);
        return Reflect.apply(target, self, given);
      },
    });
  }

  #seenSleep(sleep: typeof Bun.sleep): typeof Bun.sleep {
    return new Proxy(sleep, {
      apply: (target, self, given: unknown[]) => {
        const slept: unknown = Reflect.apply(target, self, given);
        if (typeof given[0] === "number") this.#expect(slept, given[0]);
        return slept;
      },
    });
  }
}
