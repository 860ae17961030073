import { bumpStripe, type Invalidation, STRIPES, stripeOf, targetHash } from "@proj/protocol";
import type { FillTable } from "./fill-table.ts";
import { type KeyMatch, keyMatch } from "./key-selector.ts";
import type { PurgeCount, ShardPurge } from "./purge.ts";
import type { SharedNews, SharedSide } from "./shared/shared-side.ts";
import { digestHints } from "./storage/entry-digest.ts";
import type { PurgeRule } from "./storage/purging.ts";
import type { TieredStorage } from "./storage/tiered-storage.ts";

/** What of a shard can go out of use. */
export interface Invalidated {
  readonly storage: TieredStorage;
  readonly shared: SharedSide | undefined;
  readonly fills: Pick<FillTable, "purge" | "purgeKey">;
  /** The stripes' versions, for what proxies may keep. */
  readonly versions: Int32Array;
  readonly nowMs: () => number;
}

/**
 * Takes out of use what a shard has, on an operator's word, an unsafe request's, or another node's. When one of these returns, nothing of it is found any more, what
 * proxies keep of it is no longer used either, and what is on its way in neither comes back into the store nor answers anybody who asks from now on.
 */
export class Invalidator {
  readonly #of: Invalidated;

  constructor(of: Invalidated) {
    this.#of = of;
  }

  /** What an operator wants out of the cache. The promise resolves when nothing of it is stored any more. */
  purge(purge: ShardPurge): Promise<PurgeCount> {
    const { selectors, soft, dryRun, number, filledBefore = Number.POSITIVE_INFINITY } = purge;
    const { storage, fills, versions, nowMs } = this.#of;
    const tests = selectors.map(keyMatch);
    const matches: KeyMatch = (key, tags) => tests.some((test) => test(key, tags));
    const rule: PurgeRule = {
      number,
      kind: dryRun ? "dry-run" : soft ? "make-stale" : "drop",
      concerns: ({ key, tags, filledAfter }) => filledAfter < filledBefore && matches(key, tags),
      hints: digestHints(selectors),
      givenMs: nowMs(),
    };
    const count = storage.purge(rule, keysOf(selectors));
    if (dryRun) return count;
    fills.purge(matches);
    // A proxy may hold what has been evicted here: of that nothing is found any more.
    if (selectors.every((selector) => selector.by === "key"))
      for (const { target } of selectors) bumpStripe(versions, stripeOf(targetHash(target)));
    else this.#bumpAll();
    return count;
  }

  /**
   * RFC 9111 section 4.4: an unsafe request has changed these. `groups`: RFC 9875 section 3.
   *
   * @param keyPrefix Of the site that it was for.
   */
  changed(keyPrefix: string, { targets, groups }: Pick<Invalidation, "targets" | "groups">): void {
    const { storage, shared, fills, versions } = this.#of;
    for (const target of targets) {
      const key = keyPrefix + target;
      const wasStored = storage.invalidate(key) > 0;
      shared?.changed({ by: "key", key, target }, wasStored);
      fills.purgeKey(key);
      bumpStripe(versions, stripeOf(targetHash(target)));
    }
    if (groups.length === 0) return;
    const selectors = groups.map((tag) => ({ by: "tag", tag, before: `${keyPrefix}/` }) as const);
    // Nothing is found of it from now on: nobody need wait until all of it has gone.
    this.purge({ selectors, soft: false, dryRun: false, number: storage.purgesSeen + 1 });
    for (const selector of selectors) shared?.changed(selector, true);
  }

  /** What is said by the nodes that this one shares with. */
  hear(news: SharedNews): void {
    if (this.#of.shared?.hear(news) !== true) return;
    this.#of.fills.purge(() => true);
    this.#bumpAll();
  }

  #bumpAll(): void {
    for (let stripe = 0; stripe < STRIPES; stripe++) bumpStripe(this.#of.versions, stripe);
  }
}

/** The keys that the selectors name, where that is all they concern. */
function keysOf(selectors: ShardPurge["selectors"]): string[] | undefined {
  const keys = selectors.flatMap((selector) => (selector.by === "key" ? [selector.key] : []));
  return keys.length === selectors.length ? keys : undefined;
}
