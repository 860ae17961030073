import { S3Fifo } from "../eviction/s3-fifo.ts";
import type { EntryDigest } from "./entry-digest.ts";
import type { EntryName } from "./entry-name.ts";
import { HashChains } from "./hash-chains.ts";

const SLOTS_AT_FIRST = 64;

/**
 * What one shard knows of the files it has stored, without having opened them: where they are, what they take, in which order they go. About 75
 * bytes an entry, so that a million of them are 75 MB and not a gigabyte of objects; all else is read from the file when it is asked for.
 */
export class DiskIndex {
  readonly #order: S3Fifo;
  readonly #chains = new HashChains();
  #idsHigh = new Uint32Array(SLOTS_AT_FIRST);
  #idsLow = new Uint32Array(SLOTS_AT_FIRST);
  #fileBytes = new Float64Array(SLOTS_AT_FIRST);
  #untilSeconds = new Float64Array(SLOTS_AT_FIRST);
  #digests = new Float64Array(SLOTS_AT_FIRST);
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
    this.#chains.add(slot, entry.hash);
    if (slot >= this.#serials.length) this.#grow();
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
      hash: this.#chains.hashOf(slot),
      idHigh: this.#idsHigh[slot]!,
      idLow: this.#idsLow[slot]!,
      fileBytes: this.#fileBytes[slot]!,
      usefulUntilSeconds: this.#untilSeconds[slot]!,
      digest: this.#digests[slot]!,
    };
  }

  digest(slot: number): EntryDigest {
    return this.#digests[slot]!;
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
    return this.#chains.slotsEnd;
  }

  /** All entries under a target's hash, the newest last. */
  slotsOf(hash: number): number[] {
    return this.#chains.slotsOf(hash);
  }

  has(hash: number): boolean {
    return this.#chains.first(hash) !== 0;
  }

  find(hash: number, { idHigh, idLow }: Pick<EntryName, "idHigh" | "idLow">): number | undefined {
    for (let slot = this.#chains.first(hash); slot !== 0; slot = this.#chains.next(slot)) {
      if (this.#idsHigh[slot] === idHigh && this.#idsLow[slot] === idLow) return slot;
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
    this.#chains.remove(slot);
    this.#serials[slot]!++;
  }

  #describe(slot: number, entry: EntryName): void {
    this.#idsHigh[slot] = entry.idHigh;
    this.#idsLow[slot] = entry.idLow;
    this.#fileBytes[slot] = entry.fileBytes;
    this.#untilSeconds[slot] = entry.usefulUntilSeconds;
    this.#digests[slot] = entry.digest;
  }

  #grow(): void {
    const slots = this.slotsEnd;
    const grown = <Values extends Uint32Array | Float64Array>(to: Values, from: Values): Values => {
      to.set(from);
      return to;
    };
    this.#idsHigh = grown(new Uint32Array(slots), this.#idsHigh);
    this.#idsLow = grown(new Uint32Array(slots), this.#idsLow);
    this.#fileBytes = grown(new Float64Array(slots), this.#fileBytes);
    this.#untilSeconds = grown(new Float64Array(slots), this.#untilSeconds);
    this.#digests = grown(new Float64Array(slots), this.#digests);
    this.#serials = grown(new Uint32Array(slots), this.#serials);
  }
}
