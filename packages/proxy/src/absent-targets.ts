import { stripeOf, targetHash } from "@proj/protocol";

/** Targets remembered: beyond it the oldest are forgotten, and cost one message each. */
const REMEMBERED_MAX = 10_000;

/**
 * Targets of which the cache is known to hold nothing, and to be fetching nothing that it may store: it has been told that they were changed, and nothing
 * under their stripes has begun to arrive since. The next unsafe request for one of them changes nothing there, so nobody has to be told of it.
 */
export class AbsentTargets {
  readonly #known = new Map<string, { readonly stripe: number; readonly arrivals: number }>();
  readonly #current: () => Int32Array | undefined;
  #arrivals: Int32Array | undefined;

  /** @param arrivals The stripes' arrivals; another object for each life of the cache. */
  constructor(arrivals: () => Int32Array | undefined) {
    this.#current = arrivals;
  }

  /** To be taken before the cache is told of a change to `target`; then what {@link remember} wants. */
  arrivalsOf(target: string): number {
    return countOf(this.#attach(), stripeOf(targetHash(target)));
  }

  /** The cache has been told, and has dropped what there was. */
  remember(site: number, target: string, arrivals: number): void {
    this.#attach();
    const known = this.#known;
    const key = keyOf(site, target);
    known.delete(key);
    known.set(key, { stripe: stripeOf(targetHash(target)), arrivals });
    if (known.size <= REMEMBERED_MAX) return;
    const [oldest] = known.keys();
    if (oldest !== undefined) known.delete(oldest);
  }

  has(site: number, target: string): boolean {
    const arrivals = this.#attach();
    const key = keyOf(site, target);
    const known = this.#known.get(key);
    if (known === undefined) return false;
    if (countOf(arrivals, known.stripe) === known.arrivals) return true;
    this.#known.delete(key);
    return false;
  }

  /** A cache of another life counts other arrivals, and may know again what a former one had stored. */
  #attach(): Int32Array | undefined {
    const arrivals = this.#current();
    if (arrivals !== this.#arrivals) this.#known.clear();
    this.#arrivals = arrivals;
    return arrivals;
  }
}

function keyOf(site: number, target: string): string {
  return site === 0 ? target : `${site} ${target}`;
}

function countOf(arrivals: Int32Array | undefined, stripe: number): number {
  return arrivals === undefined ? 0 : Atomics.load(arrivals, stripe);
}
