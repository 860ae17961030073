/** So many reads are under way at once: Bun has a thread for each processor that does them, and purges wait for the same threads. */
const READING_MAX = 4;

/** Reads of one shard that other threads do: a few at a time, in the order in which they were wanted. */
export class ReadTurns {
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #queue: (() => void)[] = [];
  #reading = 0;
  #isClosed = false;

  /** Reads when the turn comes. Gives undefined, and reads nothing, once these have been closed. */
  async take<T>(read: () => Promise<T>): Promise<T | undefined> {
    if (this.#reading >= READING_MAX) await new Promise<void>((resolve) => this.#queue.push(resolve));
    else this.#reading++;
    try {
      return this.#isClosed ? undefined : await this.#follow(read());
    } finally {
      const next = this.#queue.shift();
      if (next === undefined) this.#reading--;
      else next();
    }
  }

  /** Begins no read any more; resolves when those that are under way are over: a thread must not end before. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#underWay);
  }

  async #follow<T>(reading: Promise<T>): Promise<T> {
    this.#underWay.add(reading);
    try {
      return await reading;
    } finally {
      this.#underWay.delete(reading);
    }
  }
}
