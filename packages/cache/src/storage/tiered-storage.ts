import { FREQUENCY_MAX } from "../eviction/s3-fifo.ts";
import { replaces, type StoredResponse } from "../stored-response.ts";
import type { BodyStore } from "./body-store.ts";
import type { Storage } from "./storage.ts";

/** All tiers of one shard, fastest first; a response lives in one of them. */
export class TieredStorage {
  readonly #tiers: readonly Storage[];
  readonly #changed: (stripe: number) => void;

  /** @param changed Called before a change to what is stored under a stripe's keys can be seen. Making room is no change: what proxies keep stays as good as it was. */
  constructor(tiers: readonly Storage[], changed: (stripe: number) => void) {
    this.#tiers = tiers;
    this.#changed = changed;
  }

  lookup(key: string): readonly StoredResponse[] {
    let found: readonly StoredResponse[] | undefined;
    for (const tier of this.#tiers) {
      const variants = tier.lookup(key);
      if (variants.length > 0) found = found === undefined ? variants : [...found, ...variants];
    }
    return found ?? [];
  }

  *entries(): Iterable<StoredResponse> {
    for (const tier of this.#tiers) yield* tier.entries();
  }

  /** Whether it is still stored: not evicted, replaced or purged. */
  has(response: StoredResponse): boolean {
    return this.#tiers.some((tier) => tier.has(response));
  }

  /**
   * `response` was used.
   *
   * @param isKeptElsewhere A proxy keeps it from now on and answers with it by itself: the uses that follow are not seen here, so this one stands
   *   for them.
   */
  touch(response: StoredResponse, isKeptElsewhere = false): void {
    for (const tier of this.#tiers) tier.touch(response, isKeptElsewhere ? FREQUENCY_MAX : 1);
  }

  /**
   * The first tier at or after `from` that takes a body of this length; an unknown length is tried where it is cheapest.
   *
   * @returns undefined when no tier takes it: the body passes through and is not kept.
   */
  placeFor(bodyBytes: number | undefined, from?: Storage): { storage: Storage; body: BodyStore } | undefined {
    const start = from === undefined ? 0 : this.#tiers.indexOf(from) + 1;
    for (const storage of this.#tiers.slice(start)) {
      if ((bodyBytes ?? 0) > storage.bodyBytesMax) continue;
      const body = storage.newBody(bodyBytes);
      if (body !== undefined) return { storage, body };
    }
    return undefined;
  }

  /** Keeps `response` in `storage`; the variant that it renews goes from every other tier. */
  store(storage: Storage, response: StoredResponse): boolean {
    this.#changed(response.stripe);
    for (const tier of this.#tiers) {
      if (tier === storage) continue;
      for (const other of tier.lookup(response.key)) {
        if (replaces(response, other)) tier.invalidate(response.key, other);
      }
    }
    return storage.store(response);
  }

  /** The fields or the freshness of `response` are about to change: the caller does it before he lets go of the thread. */
  renewed(response: StoredResponse): void {
    this.#changed(response.stripe);
    queueMicrotask(() => {
      for (const tier of this.#tiers) tier.renewed(response);
    });
  }

  invalidate(key: string, response?: StoredResponse): number {
    for (const { stripe } of response === undefined ? this.lookup(key) : [response]) this.#changed(stripe);
    return this.#tiers.reduce((count, tier) => count + tier.invalidate(key, response), 0);
  }

  close(): void {
    for (const tier of this.#tiers) tier.close();
  }
}
