import { GhostTable } from "./ghost-table.ts";

/** The part of the limit that is for what has not proven itself: what is asked for once passes through it and out. */
const SMALL_SHARE = 0.1;
/** What has been used so often in the small queue goes on to the main one. */
const PROMOTE_AT = 2;
/** Two bits in the paper. */
export const FREQUENCY_MAX = 3;

/** Slots 0 and 1 are the two queues' ends: each queue is a ring through its own. */
const SMALL = 0;
const MAIN = 1;
const FIRST_SLOT = 2;
const SLOTS_AT_FIRST = 64;

/**
 * Which entry goes when room is needed: S3-FIFO (Yang, Zhang, Qiu, Yue, Vigfusson: "FIFO queues are all you need for cache eviction",
 * SOSP 2023), with weights in bytes where the paper counts objects.
 *
 * A new entry joins a small queue; one that is used there goes on to the main queue, one that is not goes, and its hash is remembered. Who comes
 * back while it is remembered joins the main queue at once, which lets go only of what was not used since the last round. So a scan flushes a
 * tenth of the store and nothing of the rest.
 *
 * Entries are numbers (slots) that the caller maps to what he keeps. An entry takes 21 bytes, and one that has gone about 30 as long as it is remembered.
 *
 * @see https://dl.acm.org/doi/10.1145/3600006.3613147
 * @example
 * const order = new S3Fifo(limitBytes);
 * const slot = order.insert(hash, bytes);
 * order.touch(slot);
 * const victim = order.evict();
 */
export class S3Fifo {
  readonly #mainLimit: number;
  readonly #ghosts: GhostTable;
  #next = new Uint32Array(SLOTS_AT_FIRST);
  #previous = new Uint32Array(SLOTS_AT_FIRST);
  #hashes = new Uint32Array(SLOTS_AT_FIRST);
  #weights = new Float64Array(SLOTS_AT_FIRST);
  /** Uses since it joined its queue; {@link #isMain} says which that is. */
  #frequencies = new Uint8Array(SLOTS_AT_FIRST);
  #isMain = new Uint8Array(SLOTS_AT_FIRST);
  /** Slots that were given back, linked through `next`; 0: none. */
  #freeSlot = 0;
  #slotsUsed = FIRST_SLOT;
  #smallWeight = 0;
  #mainWeight = 0;
  /** Entries in each queue. */
  readonly #counts: [small: number, main: number] = [0, 0];

  /** @param limit What all entries together may weigh; the caller evicts before he inserts. */
  constructor(limit: number) {
    this.#mainLimit = limit * (1 - SMALL_SHARE);
    this.#ghosts = new GhostTable(this.#mainLimit);
    this.#next[SMALL] = this.#previous[SMALL] = SMALL;
    this.#next[MAIN] = this.#previous[MAIN] = MAIN;
  }

  get count(): number {
    return this.#counts[SMALL] + this.#counts[MAIN];
  }

  get weight(): number {
    return this.#smallWeight + this.#mainWeight;
  }

  /** Bytes that the order itself takes. */
  get byteLength(): number {
    const arrays = [this.#next, this.#previous, this.#hashes, this.#weights, this.#frequencies, this.#isMain];
    return arrays.reduce((sum, array) => sum + array.byteLength, this.#ghosts.byteLength);
  }

  /**
   * Takes in an entry and gives its slot, a small number that may have been another's before.
   *
   * @param hash Of its key, 32 bits, unsigned.
   */
  insert(hash: number, weight: number): number {
    return this.#insert(hash, weight, this.#ghosts.take(hash) ? MAIN : SMALL);
  }

  /** Takes in an entry that has proven itself already: in a former life of the store. */
  insertProven(hash: number, weight: number): number {
    return this.#insert(hash, weight, MAIN);
  }

  /** The entry was used. @param uses As often as that: a use that stands for many others counts for more. */
  touch(slot: number, uses = 1): void {
    this.#frequencies[slot] = Math.min(FREQUENCY_MAX, this.#frequencies[slot]! + uses);
  }

  /** The entry weighs something else now. */
  reweigh(slot: number, weight: number): void {
    const more = weight - this.#weights[slot]!;
    this.#weights[slot] = weight;
    if (this.#isMain[slot] === 1) this.#mainWeight += more;
    else this.#smallWeight += more;
  }

  weightOf(slot: number): number {
    return this.#weights[slot]!;
  }

  /** The entry is gone for another reason than room: nothing is remembered of it. */
  remove(slot: number): void {
    this.#leave(slot);
    this.#giveSlot(slot);
  }

  /**
   * The slot of the entry that goes, which is free for another after that; undefined when none may.
   *
   * @param mayGo Says false for an entry that can not go now: it is passed over, to the young end of its queue.
   */
  evict(mayGo?: (slot: number) => boolean): number | undefined {
    const refusals = [0, 0];
    const isThrough = (queue: number) => refusals[queue]! >= this.#counts[queue]!;
    while (!isThrough(SMALL) || !isThrough(MAIN)) {
      const isFromMain = (this.#mainWeight > this.#mainLimit && !isThrough(MAIN)) || isThrough(SMALL);
      const queue = isFromMain ? MAIN : SMALL;
      const slot = this.#previous[queue]!;
      if (this.#staysFor(slot, queue)) continue;
      if (mayGo === undefined || mayGo(slot)) return this.#let(slot, queue);
      refusals[queue]!++;
      this.#leave(slot);
      this.#join(slot, queue);
    }
    return undefined;
  }

  /** Gives the entry at a queue's end the round that it has earned. */
  #staysFor(slot: number, queue: number): boolean {
    const frequency = this.#frequencies[slot]!;
    if (queue === SMALL ? frequency < PROMOTE_AT : frequency === 0) return false;
    this.#leave(slot);
    this.#join(slot, MAIN);
    this.#frequencies[slot] = queue === SMALL ? 0 : frequency - 1;
    return true;
  }

  #let(slot: number, queue: number): number {
    if (queue === SMALL) this.#ghosts.add(this.#hashes[slot]!, this.#weights[slot]!);
    this.remove(slot);
    return slot;
  }

  #insert(hash: number, weight: number, queue: number): number {
    const slot = this.#takeSlot();
    this.#hashes[slot] = hash;
    this.#weights[slot] = weight;
    this.#join(slot, queue);
    return slot;
  }

  #join(slot: number, queue: number): void {
    const first = this.#next[queue]!;
    this.#next[slot] = first;
    this.#previous[slot] = queue;
    this.#previous[first] = slot;
    this.#next[queue] = slot;
    this.#frequencies[slot] = 0;
    this.#isMain[slot] = queue;
    this.#counts[queue as 0 | 1]++;
    if (queue === MAIN) this.#mainWeight += this.#weights[slot]!;
    else this.#smallWeight += this.#weights[slot]!;
  }

  #leave(slot: number): void {
    const next = this.#next[slot]!;
    const previous = this.#previous[slot]!;
    this.#next[previous] = next;
    this.#previous[next] = previous;
    this.#counts[this.#isMain[slot] as 0 | 1]--;
    if (this.#isMain[slot] === 1) this.#mainWeight -= this.#weights[slot]!;
    else this.#smallWeight -= this.#weights[slot]!;
  }

  #takeSlot(): number {
    const free = this.#freeSlot;
    if (free !== 0) {
      this.#freeSlot = this.#next[free]!;
      return free;
    }
    if (this.#slotsUsed === this.#next.length) this.#grow();
    return this.#slotsUsed++;
  }

  #giveSlot(slot: number): void {
    this.#next[slot] = this.#freeSlot;
    this.#freeSlot = slot;
  }

  #grow(): void {
    const slots = this.#next.length * 2;
    const grown = <Values extends Uint32Array | Float64Array | Uint8Array>(to: Values, from: Values): Values => {
      to.set(from);
      return to;
    };
    this.#next = grown(new Uint32Array(slots), this.#next);
    this.#previous = grown(new Uint32Array(slots), this.#previous);
    this.#hashes = grown(new Uint32Array(slots), this.#hashes);
    this.#weights = grown(new Float64Array(slots), this.#weights);
    this.#frequencies = grown(new Uint8Array(slots), this.#frequencies);
    this.#isMain = grown(new Uint8Array(slots), this.#isMain);
  }
}
