import type { DiskStorage } from "./disk-storage.ts";
import type { MemoryStorage } from "./memory-storage.ts";
import type { TieredStorage, Tiers } from "./tiered-storage.ts";

/** Work on the disk is done in turns so long, so often: a tenth of the thread's time at most for each direction. */
const TURN_MS = 2;
const TURN_EVERY_MS = 20;
const SWEEP_EVERY_MS = 1_000;
/** Entries in memory that one sweep looks at. */
const SWEEP_ENTRIES = 10_000;
/** A former life's store is listed for so long before the shard serves; what is left is listed in between. */
const LISTING_MS = 50;
/** At the end, what is in memory only is copied for so long. */
const LAST_TURN_MS = 1_000;

/** What a store does besides answering: finds what a former life stored, copies from memory to disk, drops what is of no use any more. */
export class Upkeep {
  readonly #memory: MemoryStorage | undefined;
  readonly #disk: DiskStorage | undefined;
  readonly #storage: TieredStorage;
  readonly #nowMs: () => number;
  readonly #turns: ReturnType<typeof setInterval>;
  readonly #sweeps: ReturnType<typeof setInterval>;
  #listing: ReturnType<typeof setImmediate> | undefined;
  #sweepAt = 0;

  /** @param nowMs Monotonic. */
  constructor({ memory, disk }: Tiers, storage: TieredStorage, nowMs: () => number) {
    this.#memory = memory;
    this.#disk = disk;
    this.#storage = storage;
    this.#nowMs = nowMs;
    this.#turns = setInterval(() => {
      if (!storage.isIdle) storage.moveBodies(TURN_MS);
    }, TURN_EVERY_MS);
    this.#sweeps = setInterval(() => this.sweep(Date.now() / 1000), SWEEP_EVERY_MS);
    this.#list(LISTING_MS);
  }

  /** Drops what is of no use to anybody any more, a part of the store at a time. @param nowSeconds Since the epoch. */
  sweep(nowSeconds: number): void {
    this.#disk?.sweep(nowSeconds);
    if (this.#memory === undefined) return;
    const useless = [...this.#memory.useless(this.#sweepAt, SWEEP_ENTRIES, nowSeconds)];
    for (const response of useless) this.#storage.invalidate(response.key, response);
    this.#sweepAt += SWEEP_ENTRIES;
    if (this.#sweepAt >= this.#memory.slotsEnd) this.#sweepAt = 0;
  }

  /** Copies what is left to be copied, as far as there is time. Blocks. */
  stop(): void {
    clearInterval(this.#turns);
    clearInterval(this.#sweeps);
    if (this.#listing !== undefined) clearImmediate(this.#listing);
    this.#storage.writeBehind?.run(LAST_TURN_MS);
  }

  #list(budgetMs: number): void {
    const untilMs = this.#nowMs() + budgetMs;
    while (this.#disk?.listNext() === true) {
      if (this.#nowMs() < untilMs) continue;
      this.#listing = setImmediate(() => this.#list(TURN_MS));
      return;
    }
  }
}
