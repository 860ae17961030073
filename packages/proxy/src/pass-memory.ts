import { type PassLeave, stripeOf } from "@proj/protocol";

/** Targets remembered: beyond it the oldest are forgotten, and cost a message each. */
const REMEMBERED_MAX = 10_000;

/**
 * Targets for which the cache has given leave to ask the origin without it, since their responses can not be shared. A leave ends with its time, and
 * with any change under its target's stripe: a purge, an invalidation, something that is stored.
 */
export class PassMemory {
  readonly #leaves = new Map<string, { readonly stripe: number; readonly version: number; readonly untilMs: number }>();
  readonly #current: () => Int32Array | undefined;
  readonly #nowMs: () => number;
  #versions: Int32Array | undefined;

  /**
   * @param versions The stripes' versions; another object for each life of the cache.
   * @param nowMs Monotonic.
   */
  constructor(versions: () => Int32Array | undefined, nowMs: () => number) {
    this.#current = versions;
    this.#nowMs = nowMs;
  }

  /**
   * @param key The target as the hot tier names it.
   * @param hash Of what of the target is in the cache's key.
   */
  remember(key: string, hash: number, { version, ms }: PassLeave): void {
    this.#attach();
    const leaves = this.#leaves;
    leaves.delete(key);
    leaves.set(key, { stripe: stripeOf(hash), version, untilMs: this.#nowMs() + ms });
    if (leaves.size <= REMEMBERED_MAX) return;
    const [oldest] = leaves.keys();
    if (oldest !== undefined) leaves.delete(oldest);
  }

  /** What came for it could be shared after all: the cache is to see the next one. */
  forget(key: string): void {
    this.#leaves.delete(key);
  }

  has(key: string): boolean {
    const versions = this.#attach();
    const leave = this.#leaves.get(key);
    if (leave === undefined) return false;
    if (
      versions !== undefined &&
      Atomics.load(versions, leave.stripe) === leave.version &&
      this.#nowMs() < leave.untilMs
    )
      return true;
    this.#leaves.delete(key);
    return false;
  }

  /** A cache of another life counts other versions, and has given no leave yet. */
  #attach(): Int32Array | undefined {
    const versions = this.#current();
    if (versions !== this.#versions) this.#leaves.clear();
    this.#versions = versions;
    return versions;
  }
}
