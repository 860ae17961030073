import { S3Fifo } from "../eviction/s3-fifo.ts";
import type { EntryName } from "./entry-name.ts";

const SLOTS_AT_FIRST = 64;
/** Slots begin at 2. */
const NONE = 0;

/**
 * What one shard knows of the files it has stored, without having opened them: where they are, what they take, in which order they go. About 65
 * bytes an entry, so that a million of them are 65 MB and not a gigabyte of objects; all else is read from the file when it is asked for.
 */
export class DiskIndex {
  readonly #order: S3Fifo;
  /** By bucket, as many as there may be slots: the entry added last of those whose hashes fall into it. */
  #newest = new Uint32Array(SLOTS_AT_FIRST);
  /** By slot: the entry added before to the same bucket. */
  #older = new Uint32Array(SLOTS_AT_FIRST);
  #hashes = new Uint32Array(SLOTS_AT_FIRST);
  #idsHigh = new Uint32Array(SLOTS_AT_FIRST);
  #idsLow = new Uint32Array(SLOTS_AT_FIRST);
  #fileBytes = new Float64Array(SLOTS_AT_FIRST);
  #untilSeconds = new Float64Array(SLOTS_AT_FIRST);
  /** By slot: counts the entries that have had it; odd while one has. */
  #serials = new Uint32Array(SLOTS_AT_FIRST);

  constructor(limitBytes: number) {
    this.#order = new S3Fifo(limitBytes);
  }

  get count(): number {
    return this.#order.count;
  }

  /** @param isOld It has been stored by a former life. */
  add(entry: EntryName, diskBytes: number, isOld: boolean): number {
    const slot = isOld ? this.#order.insertProven(entry.idLow, diskBytes) : this.#order.insert(entry.idLow, diskBytes);
    if (slot >= this.#older.length) this.#grow(slot);
    this.#hashes[slot] = entry.hash;
    this.#link(slot);
    this.#serials[slot]!++;
    this.#describe(slot, entry);
    return slot;
  }

  /** The entry's file is another now. */
  change(slot: number, entry: EntryName, diskBytes: number): void {
    this.#describe(slot, entry);
    this.#order.reweigh(slot, diskBytes);
  }

  entry(slot: number): EntryName {
    return {
      hash: this.#hashes[slot]!,
      idHigh: this.#idsHigh[slot]!,
      idLow: this.#idsLow[slot]!,
      fileBytes: this.#fileBytes[slot]!,
      usefulUntilSeconds: this.#untilSeconds[slot]!,
    };
  }

  /** Of the entry that has the slot now: no other entry is ever named by the same slot and serial. */
  serial(slot: number): number {
    return this.#serials[slot] ?? 0;
  }

  isTaken(slot: number): boolean {
    return this.serial(slot) % 2 === 1;
  }

  /** Slots are below this. */
  get slotsEnd(): number {
    return this.#older.length;
  }

  /** All entries under a target's hash, the newest last. */
  slotsOf(hash: number): number[] {
    const slots: number[] = [];
    for (let slot = this.#newest[this.#bucketOf(hash)]!; slot !== NONE; slot = this.#older[slot]!) {
      if (this.#hashes[slot] === hash) slots.push(slot);
    }
    return slots.reverse();
  }

  has(hash: number): boolean {
    for (let slot = this.#newest[this.#bucketOf(hash)]!; slot !== NONE; slot = this.#older[slot]!) {
      if (this.#hashes[slot] === hash) return true;
    }
    return false;
  }

  find(hash: number, { idHigh, idLow }: Pick<EntryName, "idHigh" | "idLow">): number | undefined {
    for (let slot = this.#newest[this.#bucketOf(hash)]!; slot !== NONE; slot = this.#older[slot]!) {
      if (this.#hashes[slot] === hash && this.#idsHigh[slot] === idHigh && this.#idsLow[slot] === idLow) return slot;
    }
    return undefined;
  }

  touch(slot: number, uses: number): void {
    this.#order.touch(slot, uses);
  }

  /** Chooses the entry that goes; the caller calls {@link forget} for it. */
  evict(mayGo: (slot: number) => boolean): number | undefined {
    return this.#order.evict(mayGo);
  }

  remove(slot: number): void {
    this.#order.remove(slot);
    this.forget(slot);
  }

  /** The entry is gone from the order already. */
  forget(slot: number): void {
    const bucket = this.#bucketOf(this.#hashes[slot]!);
    const older = this.#older[slot]!;
    let younger = this.#newest[bucket]!;
    if (younger === slot) this.#newest[bucket] = older;
    else {
      while (this.#older[younger] !== slot) younger = this.#older[younger]!;
      this.#older[younger] = older;
    }
    this.#serials[slot]!++;
  }

  #bucketOf(hash: number): number {
    // Which shard owns a hash says something about its low bits: all take part.
    return (Math.imul(hash, 0x9e3779b1) >>> 0) % this.#newest.length;
  }

  #link(slot: number): void {
    const bucket = this.#bucketOf(this.#hashes[slot]!);
    this.#older[slot] = this.#newest[bucket]!;
    this.#newest[bucket] = slot;
  }

  #describe(slot: number, entry: EntryName): void {
    this.#idsHigh[slot] = entry.idHigh;
    this.#idsLow[slot] = entry.idLow;
    this.#fileBytes[slot] = entry.fileBytes;
    this.#untilSeconds[slot] = entry.usefulUntilSeconds;
  }

  #grow(slot: number): void {
    const slots = 2 ** Math.ceil(Math.log2(slot + 1));
    const grown = <Values extends Uint32Array | Float64Array>(to: Values, from: Values): Values => {
      to.set(from);
      return to;
    };
    this.#hashes = grown(new Uint32Array(slots), this.#hashes);
    this.#idsHigh = grown(new Uint32Array(slots), this.#idsHigh);
    this.#idsLow = grown(new Uint32Array(slots), this.#idsLow);
    this.#fileBytes = grown(new Float64Array(slots), this.#fileBytes);
    this.#untilSeconds = grown(new Float64Array(slots), this.#untilSeconds);
    this.#serials = grown(new Uint32Array(slots), this.#serials);
    this.#relink(slots);
  }

  /** Spreads all entries over so many buckets; of one hash the newer ones stay before the older ones. */
  #relink(slots: number): void {
    const newest = this.#newest;
    const older = this.#older;
    this.#newest = new Uint32Array(slots);
    this.#older = new Uint32Array(slots);
    for (const first of newest) {
      const chain: number[] = [];
      for (let slot = first; slot !== NONE; slot = older[slot]!) chain.push(slot);
      for (const slot of chain.reverse()) this.#link(slot);
    }
  }
}
