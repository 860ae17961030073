import { madeStale } from "@proj/protocol";
import { FREQUENCY_MAX } from "../eviction/s3-fifo.ts";
import type { PurgeCount } from "../purge.ts";
import { replaces, type StoredResponse } from "../stored-response.ts";
import type { BodyStore } from "./body-store.ts";
import type { DiskStorage } from "./disk-storage.ts";
import type { MemoryStorage } from "./memory-storage.ts";
import { Promotion } from "./promotion.ts";
import { type PurgeRule, Purging } from "./purging.ts";
import type { Storage } from "./storage.ts";
import { WindowRoom } from "./window-room.ts";
import { WriteBehind } from "./write-behind.ts";

export interface Tiers {
  readonly memory: MemoryStorage | undefined;
  readonly disk: DiskStorage | undefined;
}

/**
 * The tiers of one shard. What is stored in memory is copied to disk by and by; as long as memory holds it the copy only waits for a restart, or for
 * the day when memory needs the room.
 */
export class TieredStorage {
  readonly #memory: MemoryStorage | undefined;
  readonly #disk: DiskStorage | undefined;
  /** Fastest first. */
  readonly #tiers: readonly Storage[];
  readonly #changed: (stripe: number) => void;
  /** For what no tier keeps. */
  readonly windows = new WindowRoom();
  /** Undefined unless there are two tiers. */
  readonly writeBehind: WriteBehind | undefined;
  readonly #promotion: Promotion | undefined;
  readonly #purging: Purging;
  #purgesSeen: number;
  /** Called when something waits to be moved between the tiers; also when more of it does. */
  onWork: () => void = () => {};

  /**
   * @param changed Called before a change to what is stored under a stripe's keys can be seen. Making room is no change: what proxies keep stays as
   *   good as it was.
   * @param nowMs Monotonic.
   * @param purgesSeen The number of the last purge that a former life has seen.
   */
  constructor({ memory, disk }: Tiers, changed: (stripe: number) => void, nowMs: () => number, purgesSeen = 0) {
    this.#memory = memory;
    this.#disk = disk;
    this.#tiers = [memory, disk].filter((tier) => tier !== undefined);
    this.#changed = changed;
    const actions = {
      drop: (response: StoredResponse) => void this.invalidate(response.key, response),
      makeStale: (response: StoredResponse, fromMs: number, seen: number) => this.#makeStale(response, fromMs, seen),
    };
    this.#purging = new Purging({ memory, disk }, actions, nowMs);
    this.#purgesSeen = purgesSeen;
    if (memory === undefined || disk === undefined) return;
    this.writeBehind = new WriteBehind(memory, disk, nowMs);
    this.#promotion = new Promotion(memory, disk, (response) => this.has(response), nowMs);
  }

  lookup(key: string): readonly StoredResponse[] {
    let found: readonly StoredResponse[] | undefined;
    for (const tier of this.#tiers) {
      const variants = tier.lookup(key);
      if (variants.length > 0) found = found === undefined ? variants : [...found, ...variants];
    }
    if (found !== undefined && this.#purging.isActive) return found.filter((one) => this.#purging.admits(one));
    return found ?? [];
  }

  /** Has what {@link lookup} would have to read of `key` read by another thread: see {@link DiskStorage.bring}. */
  bring(key: string): Promise<unknown> | undefined {
    return this.#disk?.bring(key);
  }

  /**
   * Purges what `rule` concerns, of all that is stored, or of the variants of `keys`. From now on nothing of it is found; the promise resolves when nothing of it is
   * there any more.
   */
  purge(rule: PurgeRule, keys?: readonly string[]): Promise<PurgeCount> {
    if (rule.kind !== "dry-run") this.#purgesSeen = Math.max(this.#purgesSeen, rule.number);
    if (keys === undefined) return this.#purging.begin(rule);
    const variants = keys.flatMap((key) => this.lookup(key));
    const count = this.#purging.purgeNow(rule, variants);
    if (rule.kind !== "dry-run") for (const key of keys) count.responses += this.#disk?.dropUnread(key) ?? 0;
    return Promise.resolve(count);
  }

  /** The number of the last purge. */
  get purgesSeen(): number {
    return this.#purgesSeen;
  }

  /** Files, or directories, that could not be removed or read, of what is not to be used any more: another life would find them. */
  get filesLeft(): number {
    return this.#disk?.filesLeft ?? 0;
  }

  /** Where it is read from. */
  tierOf(response: StoredResponse): "memory" | "disk" {
    return this.#memory?.has(response) === true ? "memory" : "disk";
  }

  /** Whether it is still stored: not evicted, replaced or purged. */
  has(response: StoredResponse): boolean {
    if (!this.#tiers.some((tier) => tier.has(response))) return false;
    return !this.#purging.isActive || this.#purging.admits(response);
  }

  /**
   * `response` was used.
   *
   * @param isKeptElsewhere A proxy keeps it from now on and answers with it by itself: the uses that follow are not seen here, so this one stands
   *   for them.
   */
  touch(response: StoredResponse, isKeptElsewhere = false): void {
    const uses = isKeptElsewhere ? FREQUENCY_MAX : 1;
    const slot = this.#memory?.slotOf(response);
    if (slot === undefined) {
      this.#disk?.touch(response, uses);
      this.#promotion?.used(response);
    } else {
      this.#memory?.touch(response, uses);
      this.#disk?.copies.touch(slot, uses);
      this.writeBehind?.add(slot, response);
    }
    if (!this.isIdle) this.onWork();
  }

  /**
   * The first tier at or after `from` that takes a body of this length; an unknown length is tried where it is cheapest.
   *
   * @returns undefined when no tier takes it: the body passes through and is not kept.
   */
  placeFor(bodyBytes: number | undefined, from?: Storage): { storage: Storage; body: BodyStore } | undefined {
    const start = from === undefined ? 0 : this.#tiers.indexOf(from) + 1;
    for (let tier = start; tier < this.#tiers.length; tier++) {
      const storage = this.#tiers[tier]!;
      if ((bodyBytes ?? 0) > storage.bodyBytesMax) continue;
      const body = storage.newBody(bodyBytes);
      if (body !== undefined) return { storage, body };
    }
    return undefined;
  }

  /** Keeps `response` in `storage`; the variant that it renews goes from every other tier. */
  store(storage: Storage, response: StoredResponse): boolean {
    this.#changed(response.stripe);
    response.purgesSeen = this.#purgesSeen;
    if (storage === this.#memory) this.#disk?.dropReplaced(response);
    else if (this.#memory !== undefined) {
      for (const other of this.#memory.lookup(response.key)) {
        if (replaces(response, other)) this.#memory.invalidate(response.key, other);
      }
    }
    const isStored = storage.store(response);
    const slot = isStored ? this.#memory?.slotOf(response) : undefined;
    if (slot !== undefined) this.writeBehind?.add(slot, response);
    if (!this.isIdle) this.onWork();
    return isStored;
  }

  /** The fields or the freshness of `response` are about to change: the caller does it before he lets go of the thread. */
  renewed(response: StoredResponse): void {
    this.#changed(response.stripe);
    this.adopt(response);
    response.purgesSeen = this.#purgesSeen;
    queueMicrotask(() => {
      const slot = this.#memory?.slotOf(response);
      if (slot === undefined) return this.#disk?.renewed(response);
      this.#memory?.renewed(response);
      this.#disk?.copies.outdate(slot);
      if (!this.isIdle) this.onWork();
    });
  }

  /** `response` has been had from here some time ago, and is about to be used or changed: see {@link Storage.adopt}. */
  adopt(response: StoredResponse): void {
    for (const tier of this.#tiers) tier.adopt(response);
  }

  invalidate(key: string, response?: StoredResponse): number {
    for (const { stripe } of response === undefined ? this.lookup(key) : [response]) this.#changed(stripe);
    return this.#tiers.reduce((count, tier) => count + tier.invalidate(key, response), 0);
  }

  /** Whether nothing waits to be moved between the tiers. */
  get isIdle(): boolean {
    return this.writeBehind?.isIdle !== false && this.#promotion?.isIdle !== false;
  }

  /** Goes on with what purges have left to do, for about `budgetMs`; false when that is nothing. */
  purgeFor(budgetMs: number): boolean {
    return this.#purging.run(budgetMs);
  }

  /** Moves bodies between the tiers, for about `budgetMs` in each direction. @param copyMs For copies to disk, where those have less time. */
  moveBodies(budgetMs: number, copyMs = budgetMs): void {
    this.writeBehind?.run(copyMs);
    this.#promotion?.run(budgetMs);
  }

  close(): void {
    this.#purging.close();
    this.writeBehind?.close();
    this.#promotion?.close();
    for (const tier of this.#tiers) tier.close();
  }

  #makeStale(response: StoredResponse, fromMs: number, seen: number): void {
    this.renewed(response);
    response.purgesSeen = seen;
    response.freshness = madeStale(response.freshness, fromMs);
    response.quietUntilMs = 0;
  }
}
