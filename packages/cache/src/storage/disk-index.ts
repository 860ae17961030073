import { S3Fifo } from "../eviction/s3-fifo.ts";
import type { EntryName } from "./entry-name.ts";

const SLOTS_AT_FIRST = 64;
const NONE = 0;

/**
 * What one shard knows of the files it has stored, without having opened them: where they are, what they take, in which order they go. About 80
 * bytes an entry, so that a million of them are 80 MB and not a gigabyte of objects; all else is read from the file when it is asked for.
 */
export class DiskIndex {
  readonly #order: S3Fifo;
  /** Hash of a target -> the entry added last under it; slots begin at 2, 0 is none. */
  readonly #newest = new Map<number, number>();
  /** By slot: the entry added before under the same hash. */
  #older = new Uint32Array(SLOTS_AT_FIRST);
  #hashes = new Uint32Array(SLOTS_AT_FIRST);
  #ids = new BigUint64Array(SLOTS_AT_FIRST);
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
    const hash = Number(entry.id & 0xffff_ffffn);
    const slot = isOld ? this.#order.insertProven(hash, diskBytes) : this.#order.insert(hash, diskBytes);
    if (slot >= this.#older.length) this.#grow(slot);
    this.#hashes[slot] = entry.hash;
    this.#ids[slot] = entry.id;
    this.#older[slot] = this.#newest.get(entry.hash) ?? NONE;
    this.#newest.set(entry.hash, slot);
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
      id: this.#ids[slot]!,
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
    for (let slot = this.#newest.get(hash) ?? NONE; slot !== NONE; slot = this.#older[slot]!) slots.push(slot);
    return slots.reverse();
  }

  has(hash: number): boolean {
    return this.#newest.has(hash);
  }

  find(hash: number, id: bigint): number | undefined {
    for (let slot = this.#newest.get(hash) ?? NONE; slot !== NONE; slot = this.#older[slot]!) {
      if (this.#ids[slot] === id) return slot;
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
    const hash = this.#hashes[slot]!;
    const older = this.#older[slot]!;
    const newest = this.#newest.get(hash)!;
    if (newest !== slot) {
      let younger = newest;
      while (this.#older[younger] !== slot) younger = this.#older[younger]!;
      this.#older[younger] = older;
    } else if (older === NONE) this.#newest.delete(hash);
    else this.#newest.set(hash, older);
    this.#serials[slot]!++;
  }

  #describe(slot: number, entry: EntryName): void {
    this.#fileBytes[slot] = entry.fileBytes;
    this.#untilSeconds[slot] = entry.usefulUntilSeconds;
  }

  #grow(slot: number): void {
    const slots = 2 ** Math.ceil(Math.log2(slot + 1));
    const grown = <Values extends Uint32Array | Float64Array | BigUint64Array>(to: Values, from: Values): Values => {
      to.set(from as never);
      return to;
    };
    this.#older = grown(new Uint32Array(slots), this.#older);
    this.#hashes = grown(new Uint32Array(slots), this.#hashes);
    this.#ids = grown(new BigUint64Array(slots), this.#ids);
    this.#fileBytes = grown(new Float64Array(slots), this.#fileBytes);
    this.#untilSeconds = grown(new Float64Array(slots), this.#untilSeconds);
    this.#serials = grown(new Uint32Array(slots), this.#serials);
  }
}
