import { EventLoop } from "@proj/ipc";
import type { DiskStorage } from "./disk-storage.ts";
import type { MemoryStorage } from "./memory-storage.ts";
import type { TieredStorage, Tiers } from "./tiered-storage.ts";

/** Work on the disk is done in turns so long, so often, while there is any: a tenth of the thread's time at most for each direction, and half of that while clients ask. */
const TURN_MS = 2;
const BUSY_TURN_MS = 1;
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
  readonly #asked: () => number;
  #askedBefore = 0;
  #turn: ReturnType<typeof setTimeout> | undefined;
  readonly #sweeps: ReturnType<typeof setInterval>;
  #callOffListing: (() => void) | undefined;
  #sweepAt = 0;

  /**
   * @param nowMs Monotonic.
   * @param asked How many requests there have been so far.
   */
  constructor({ memory, disk }: Tiers, storage: TieredStorage, nowMs: () => number, asked: () => number) {
    this.#memory = memory;
    this.#disk = disk;
    this.#storage = storage;
    this.#nowMs = nowMs;
    this.#asked = asked;
    storage.onWork = () => {
      this.#turn ??= setTimeout(() => this.#takeTurn(), TURN_EVERY_MS);
    };
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
    this.#storage.onWork = () => {};
    clearTimeout(this.#turn);
    clearInterval(this.#sweeps);
    this.#callOffListing?.();
    this.#storage.writeBehind?.run(LAST_TURN_MS);
  }

  #takeTurn(): void {
    this.#turn = undefined;
    const asked = this.#asked();
    this.#storage.moveBodies(asked === this.#askedBefore ? TURN_MS : BUSY_TURN_MS);
    this.#askedBefore = asked;
    if (!this.#storage.isIdle) this.#storage.onWork();
  }

  #list(budgetMs: number): void {
    const untilMs = this.#nowMs() + budgetMs;
    while (this.#disk?.listNext() === true) {
      if (this.#nowMs() < untilMs) continue;
      this.#callOffListing = EventLoop.defer(() => this.#list(TURN_MS));
      return;
    }
  }
}
