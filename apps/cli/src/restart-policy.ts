/** What to do about a process that died: start it again after so many milliseconds, or give up. */
export type AfterDeath = { kind: "restart"; afterMs: number } | { kind: "give-up" };

const SECOND_DELAY_MS = 50;
const DELAY_MAX_MS = 5_000;
/**
 * A process that served for this long was well: its next death is a first one again. Starting one takes a fifth of that, so that even one that dies every time
 * keeps a processor busy for a tenth of the time, and serves for the rest.
 */
const WELL_AFTER_MS = 2_000;
const CRASH_LOOP_DEATHS = 5;
const CRASH_LOOP_MS = 10_000;

/**
 * Decides about each death of one process: after a first one it is started again at once, after the next 50 ms later and twice as late each time, up to 5 s; five deaths
 * within ten seconds without having served once in between are a crash loop. Times are milliseconds of one monotonic clock.
 */
export class RestartPolicy {
  #delayMs = 0;
  #servedAt: number | undefined;
  #deathsUnserved: number[] = [];

  served(at: number): void {
    this.#servedAt = at;
    this.#deathsUnserved = [];
  }

  died(at: number): AfterDeath {
    if (this.#servedAt !== undefined && at - this.#servedAt >= WELL_AFTER_MS) this.#delayMs = 0;
    if (this.#servedAt === undefined) this.#deathsUnserved.push(at);
    this.#servedAt = undefined;
    const recent = this.#deathsUnserved.filter((death) => at - death <= CRASH_LOOP_MS);
    this.#deathsUnserved = recent;
    if (recent.length >= CRASH_LOOP_DEATHS) return { kind: "give-up" };
    const afterMs = this.#delayMs;
    this.#delayMs = Math.min(Math.max(afterMs * 2, SECOND_DELAY_MS), DELAY_MAX_MS);
    return { kind: "restart", afterMs };
  }
}
