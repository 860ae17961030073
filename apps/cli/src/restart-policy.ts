/** What to do about a process that died: start it again after so many milliseconds, or give up after so many deaths in a row. */
export type AfterDeath = { kind: "restart"; afterMs: number } | { kind: "give-up"; deaths: number };

/** Clients wait meanwhile, and what kills several in a short time is rarely what would kill the next one too. */
const RESTARTS_AT_ONCE = 3;
const DELAY_MIN_MS = 50;
const DELAY_MAX_MS = 5_000;
/** Of one that has served, however briefly: it may do so again, and while it is away nobody is served for less than a second. A loop of them keeps half a processor busy. */
const SERVED_DELAY_MAX_MS = 200;
/**
 * A process that served for this long was well: its next death is a first one again. Starting one, and making the next spare one, takes half of that in processor time, so that even
 * one that dies every time keeps half a processor busy, and serves for most of the time.
 */
const WELL_AFTER_MS = 1_000;
const CRASH_LOOP_DEATHS = 5;
/** What keeps one from serving that has served before may be over soon: a full /dev/shm, a machine without memory. */
const CRASH_LOOP_MS = 10_000;

/**
 * Decides about each death of one process: after the first three it is started again at once, after the next 50 ms later and twice as late each time, up to 5 s, or 0.2 s where it had served. Five deaths
 * in a row without having served in between are a crash loop, however long each life took (one that hangs is killed after a while); of a process that has served before, if they go on for ten seconds.
 * Times are milliseconds of one monotonic clock.
 */
export class RestartPolicy {
  #deathsInRow = 0;
  #servedAt: number | undefined;
  #hasServed = false;
  #deathsUnserved: number[] = [];

  served(at: number): void {
    this.#servedAt = at;
    this.#hasServed = true;
    this.#deathsUnserved = [];
  }

  died(at: number): AfterDeath {
    if (this.#servedAt !== undefined && at - this.#servedAt >= WELL_AFTER_MS) this.#deathsInRow = 0;
    if (this.#servedAt === undefined) this.#deathsUnserved.push(at);
    const delayMaxMs = this.#servedAt === undefined ? DELAY_MAX_MS : SERVED_DELAY_MAX_MS;
    this.#servedAt = undefined;
    const deaths = this.#deathsUnserved.length;
    const isLoop = !this.#hasServed || at - (this.#deathsUnserved[0] ?? at) >= CRASH_LOOP_MS;
    if (deaths >= CRASH_LOOP_DEATHS && isLoop) return { kind: "give-up", deaths };
    const late = this.#deathsInRow++ - RESTARTS_AT_ONCE;
    return { kind: "restart", afterMs: late < 0 ? 0 : Math.min(DELAY_MIN_MS * 2 ** late, delayMaxMs) };
  }
}
