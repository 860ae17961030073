/**
 * The number that a target is spread by. Both processes compute it: the proxy to choose the queue and to watch the stripe, the
 * cache to bump the stripe.
 *
 * @param target Origin-form with the origin's path prefix joined, as it is forwarded.
 */
export function targetHash(target: string): number {
  return Bun.hash.xxHash32(target);
}

/** The shard that owns the key of a target with this hash. */
export function shardOf(hash: number, shards: number): number {
  return hash % shards;
}
