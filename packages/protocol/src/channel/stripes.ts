/**
 * How proxies know that what they keep is still what the cache holds: one 32-bit version for each stripe of keys, in the cache's control
 * block. The cache bumps the stripe of a key before what changed can be seen by anybody; a response that a proxy keeps is good only while its stripe
 * has the version that the cache named when it gave it out. Versions wrap: 2^32 changes within the life of one entry would be
 * needed to be fooled.
 *
 * Beside it each stripe has a count of *arrivals*: it is bumped before the cache sends a request to the origin whose response it may store, and before
 * a proxy hands it one. What a proxy knows not to be in the cache is not there as long as the count stands.
 */
export const STRIPES = 4096;

/** The stripe of a target with this hash. Bits that choose the shard choose nothing here, or few stripes would be used. */
export function stripeOf(hash: number): number {
  return (hash >>> 12) % STRIPES;
}

/** The cache: whatever proxies keep under this stripe is no longer to be used. Returns the new version. */
export function bumpStripe(versions: Int32Array, stripe: number): number {
  return (Atomics.add(versions, stripe, 1) + 1) | 0;
}

/** The version now. A plain load of an aligned word is whole, and a hit has no use for the locked one that Atomics.load becomes. */
export function stripeVersion(versions: Int32Array, stripe: number): number {
  return versions[stripe]!;
}
