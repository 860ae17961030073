/** How much a purge found. */
export interface Count {
  responses: number;
  bodyBytes: number;
}

/** A purge that holds. `count`: how much it was, when all that is stored has been seen. */
export interface Applied {
  readonly count: Promise<Count>;
}

const KNOWN_MAX = 64;

/** What became of purges that somebody asks about by their number: the log may bring one before or after who put it there knows its number. */
export class AppliedPurges {
  readonly #waiting = new Map<number, PromiseWithResolvers<Applied>>();
  /** Applied lately, for who asks after the fact. */
  readonly #known = new Map<number, Applied>();

  add(sequence: number, applied: Applied): void {
    this.#waiting.get(sequence)?.resolve(applied);
    this.#waiting.delete(sequence);
    this.#known.set(sequence, applied);
    const [oldest] = this.#known.keys();
    if (this.#known.size > KNOWN_MAX && oldest !== undefined) this.#known.delete(oldest);
  }

  /** Undefined when it has not been applied after `timeoutMs`. */
  async of(sequence: number, timeoutMs: number): Promise<Applied | undefined> {
    const already = this.#known.get(sequence);
    if (already !== undefined) return already;
    const applied = Promise.withResolvers<Applied>();
    this.#waiting.set(sequence, applied);
    const { promise: late, resolve } = Promise.withResolvers<undefined>();
    const timer = setTimeout(() => resolve(undefined), timeoutMs);
    const known = await Promise.race([applied.promise, late]);
    clearTimeout(timer);
    this.#waiting.delete(sequence);
    return known;
  }
}
