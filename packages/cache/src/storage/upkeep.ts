import { EventLoop } from "@proj/ipc";
import { everyBeat, type Heartbeat } from "@proj/process";
import { HEARTBEAT_MS } from "@proj/protocol";
import type { DiskStorage } from "./disk-storage.ts";
import type { MemoryStorage } from "./memory-storage.ts";
import type { TieredStorage, Tiers } from "./tiered-storage.ts";

/** Work on the disk is done in turns so long, so often, while there is any: a tenth of the thread's time at most for each direction, and half of that while clients ask. */
const TURN_MS = 2;
const BUSY_TURN_MS = 1;
const TURN_EVERY_MS = 20;
/**
 * Where so many misses come between two turns, what is stored comes faster than it could be copied to disk: most of it never would be, and those who wait for the origin would pay for the few. Most
 * copies then wait for a quieter moment, as far as there is room for them.
 */
const FLOOD_MISSES = 20;
const FLOODED_COPY_MS = 0.25;
const SWEEP_EVERY_MS = 1_000;
/** Entries in memory that one sweep looks at. */
const SWEEP_ENTRIES = 10_000;
/** A former life's store is listed for so long before the shard serves; what is left is listed in between. */
const LISTING_MS = 50;
/** At the end, what is in memory only is copied for so long. */
const LAST_TURN_MS = 1_000;

/** How many requests clients have made, and how many of them the store did not answer. */
export interface Demand {
  readonly requests: number;
  readonly misses: number;
}

/** How long bodies are moved between the tiers, and copied to disk, after so much has been wanted since the turn before. */
export function turnFor(before: Demand, now: Demand): { readonly moveMs: number; readonly copyMs: number } {
  const moveMs = now.requests === before.requests ? TURN_MS : BUSY_TURN_MS;
  const isFlooded = now.misses - before.misses >= FLOOD_MISSES;
  return { moveMs, copyMs: isFlooded ? FLOODED_COPY_MS : moveMs };
}

/** What a store does besides answering: finds what a former life stored, copies from memory to disk, drops what is of no use any more. */
export class Upkeep {
  readonly #memory: MemoryStorage | undefined;
  readonly #disk: DiskStorage | undefined;
  readonly #storage: TieredStorage;
  readonly #nowMs: () => number;
  readonly #demand: () => Demand;
  #before: Demand = { requests: 0, misses: 0 };
  #turn: ReturnType<typeof setTimeout> | undefined;
  readonly #sweeps: Heartbeat;
  #callOffListing: (() => void) | undefined;
  #sweepAt = 0;

  /**
   * @param nowMs Monotonic.
   * @param demand What there has been so far.
   */
  constructor({ memory, disk }: Tiers, storage: TieredStorage, nowMs: () => number, demand: () => Demand) {
    this.#memory = memory;
    this.#disk = disk;
    this.#storage = storage;
    this.#nowMs = nowMs;
    this.#demand = demand;
    storage.onWork = () => {
      this.#turn ??= setTimeout(() => this.#takeTurn(), TURN_EVERY_MS);
    };
    this.#sweeps = everyBeat(() => this.sweep(Date.now() / 1000), SWEEP_EVERY_MS / HEARTBEAT_MS);
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
    this.#sweeps.stop();
    this.#callOffListing?.();
    this.#storage.writeBehind?.run(LAST_TURN_MS);
  }

  #takeTurn(): void {
    this.#turn = undefined;
    const now = this.#demand();
    const { moveMs, copyMs } = turnFor(this.#before, now);
    this.#storage.moveBodies(moveMs, copyMs);
    this.#before = now;
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
