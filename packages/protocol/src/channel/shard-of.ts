/**
 * The shard that owns `target`. Both processes use it: the proxy to choose the queue, the cache to check that it was asked for what it owns.
 *
 * @param target Origin-form with the origin's path prefix joined, as it is forwarded.
 */
export function shardOf(target: string, shards: number): number {
  return shards === 1 ? 0 : Bun.hash.xxHash32(target) % shards;
}
