/** A shard answers `pending` after 25 ms where the answer itself takes longer. One that has so much to do that it does not has its question answered by the origin, as far as it has refused something since. */
const ANSWERED_BY_MS = 100;
/** After that it is asked again: it may be able by then, and to find that it is not costs a tenth of a second. */
const REST_MS = 1_000;

/**
 * Shards of one life of the cache that take what they are asked and drop it, since they can not read it: they get no more memory or descriptors for our segments. They
 * count that where we can read it, and not with what they refuse for other reasons; the question itself would be waited for until it is late.
 */
export class RefusingShards {
  readonly #refusedOf: (shard: number) => number;
  readonly #shards: { refused: number; refusedAtMs: number; restsUntilMs: number }[];
  #resting = 0;

  /** @param refusedOf How many messages the shard says that it could not read. */
  constructor(shards: number, refusedOf: (shard: number) => number) {
    this.#refusedOf = refusedOf;
    this.#shards = Array.from({ length: shards }, (_, shard) => ({
      refused: refusedOf(shard),
      refusedAtMs: Number.NEGATIVE_INFINITY,
      restsUntilMs: 0,
    }));
  }

  /** To be called now and then, before {@link isRefused}. */
  look(nowMs: number): void {
    for (const [index, shard] of this.#shards.entries()) {
      const refused = this.#refusedOf(index);
      if (refused > shard.refused) shard.refusedAtMs = nowMs;
      shard.refused = refused;
    }
  }

  /** Whether what has been asked then, and is not answered, is likely to be among what the shard has refused. To be wrong costs a request to the origin. */
  isRefused(shard: number, askedMs: number, nowMs: number): boolean {
    const one = this.#shards[shard];
    return one !== undefined && askedMs <= one.refusedAtMs && nowMs - askedMs >= ANSWERED_BY_MS;
  }

  /** The shard is not asked for a while. True when that is news: all were well. */
  rest(shard: number, nowMs: number): boolean {
    const one = this.#shards[shard]!;
    const isFirst = this.#resting === 0;
    if (one.restsUntilMs === 0) this.#resting++;
    one.restsUntilMs = nowMs + REST_MS;
    return isFirst;
  }

  isResting(shard: number, now: () => number): boolean {
    return this.#resting > 0 && (this.#shards[shard]?.restsUntilMs ?? 0) > now();
  }

  /** The shard has answered. True when that is news: no other one is left that refuses. */
  answered(shard: number): boolean {
    if (this.#resting === 0) return false;
    const one = this.#shards[shard]!;
    if (one.restsUntilMs === 0) return false;
    one.restsUntilMs = 0;
    return --this.#resting === 0;
  }
}
