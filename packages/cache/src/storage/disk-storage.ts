import { stripeOf, targetHash } from "@proj/protocol";
import { renderHeadBlock } from "../head-block.ts";
import { replaces, type StoredResponse } from "../stored-response.ts";
import { BodyFile, diskBytesOf } from "./body-file.ts";
import type { BodyStore } from "./body-store.ts";
import { ColdTails } from "./cold-tails.ts";
import { DiskCopies } from "./disk-copies.ts";
import { DiskFiles, type DiskFilesOptions } from "./disk-files.ts";
import { DiskIndex } from "./disk-index.ts";
import { type DigestHint, mayBe } from "./entry-digest.ts";
import type { EntryFile } from "./entry-file.ts";
import { type EntryName, entryId, partitionOf } from "./entry-name.ts";
import { saysNothingOfFile } from "./file-system.ts";
import { targetOf } from "./key-target.ts";
import { KnownResponses, Places } from "./known-responses.ts";
import { VARIANTS_MAX } from "./response-table.ts";
import type { Storage } from "./storage.ts";

/** No body may take more than this part of the disk tier. */
const BODY_SHARE = 4;
/** Tails of so many entries are kept in memory once they have been read. */
export const READ_ENTRIES_MAX = 4096;
/** How many entries one sweep looks at. */
const SWEEP_ENTRIES = 2_000;
/** So many copies are passed over, then one goes: where nearly all are copies, nobody looks through all of them. */
const COPIES_SPARED_MAX = 64;
const NO_RESPONSES: readonly StoredResponse[] = [];

export interface DiskStorageOptions extends DiskFilesOptions {
  /** Whether this shard owns the targets with this hash. */
  readonly owns: (hash: number) => boolean;
}

/**
 * The disk tier of one shard: a file for each stored response, body and metadata together, whose name says all that has to be known to find it
 * again. A file gets its name when all of it is written, by one rename, and goes by one unlink: whenever the process or the machine stops, a
 * response is there or it is not, and what is there is compared with its checksums before it is used.
 *
 * No response is forced to the medium (fsync): after a power cut a file may be short, empty or old, which its checksums or its absence tell, or be back
 * although it had been removed: {@link PurgeJournal} knows what must not be used then.
 */
export class DiskStorage implements Storage {
  readonly limitBytes: number;
  readonly bodyBytesMax: number;
  /** Entries that the memory tier holds too. */
  readonly copies: DiskCopies;
  readonly #options: DiskStorageOptions;
  readonly #files: DiskFiles;
  readonly #index: DiskIndex;
  readonly #places = new Places((slot) => this.#index.serial(slot));
  /** Of entries whose tail has been read, or that have only just been stored. */
  readonly #known = new KnownResponses(READ_ENTRIES_MAX / 2, READ_ENTRIES_MAX / 2);
  readonly #slotOfBody = new WeakMap<BodyFile, { slot: number; serial: number }>();
  /** Parts of bodies and the like, which do not outlive this process: their bodies are among the arriving files. */
  readonly #volatile = new Map<number, StoredResponse>();
  readonly #tails = new ColdTails();
  /** The key that was hashed last: of one that is looked up the same is wanted several times. */
  #hashed: { readonly key: string | undefined; readonly hash: number } = { key: undefined, hash: 0 };
  #nextVolatile = 0;
  #sweepAt = 0;
  /** The entry that is being written to: it can not go to make room for itself. */
  #busySlot: number | undefined;

  constructor(options: DiskStorageOptions) {
    const { limitBytes } = options;
    this.#options = options;
    this.limitBytes = limitBytes;
    this.bodyBytesMax = Math.floor(limitBytes / BODY_SHARE);
    this.#files = new DiskFiles(options, {
      evict: () => this.evict(),
      hasDropped: (body) => this.#hasDropped(body),
      dropBroken: (body) => this.#dropBroken(body),
    });
    this.#index = new DiskIndex(limitBytes);
    this.copies = new DiskCopies({
      slotOf: (response) => this.slotOf(response),
      commit: (response, body) => {
        this.dropReplaced(response);
        return this.#commit(response, body);
      },
      rewrite: (slot, response) => this.#rewrite(slot, response),
      disown: (slot, response) => {
        this.#known.delete(slot);
        this.#places.delete(response);
      },
      touch: (slot, uses) => this.#index.touch(slot, uses),
      drop: (slot) => this.#drop(slot),
    });
  }

  get usedBytes(): number {
    return this.#files.usedBytes;
  }

  get count(): number {
    return this.#index.count;
  }

  /** Files that could not be removed so far, or directories of them that could not be read: another life would find them. */
  get filesLeft(): number {
    return this.#files.directories.leftCount;
  }

  get isDegraded(): boolean {
    return this.#files.isDegraded;
  }

  /** Lets one entry go; false when none may. */
  evict(): boolean {
    let spared = 0;
    const slot = this.#index.evict((one) => {
      if (one === this.#busySlot || this.#bodyAt(one)?.isHeld === true) return false;
      // What memory holds too is what is used most, and those uses are not seen here: others go first.
      return this.copies.originalOf(one) === undefined || ++spared > COPIES_SPARED_MAX;
    });
    if (slot === undefined) return false;
    const entry = this.#index.entry(slot);
    this.#index.forget(slot);
    this.#forget(slot, entry);
    this.#options.onEvict();
    return true;
  }

  // -- Storage

  newBody(): BodyFile | undefined {
    return this.#files.newBody();
  }

  lookup(key: string): readonly StoredResponse[] {
    const hash = this.#hashOf(key);
    this.#list(partitionOf(hash));
    if (!this.#index.has(hash)) return NO_RESPONSES;
    const found: StoredResponse[] = [];
    for (const slot of this.#index.slotsOf(hash)) {
      const response = this.responseAt(slot);
      if (response?.key === key) found.push(response);
    }
    return found;
  }

  /** Has read what {@link lookup} would have to read of `key`: see {@link bringSlots}. */
  bring(key: string): Promise<unknown> | undefined {
    const hash = this.#hashOf(key);
    this.#list(partitionOf(hash));
    return this.#index.has(hash) ? this.bringSlots(this.#index.slotsOf(hash)) : undefined;
  }

  /**
   * Has read what {@link responseAt} would have to read in these slots, by another thread where the medium has to be waited for.
   *
   * @returns undefined where that is not so; else what resolves then, and does not reject.
   */
  bringSlots(slots: readonly number[]): Promise<unknown> | undefined {
    const readings = slots.map((slot) => this.#bring(slot)).filter((reading) => reading !== undefined);
    return readings.length === 0 ? undefined : Promise.all(readings);
  }

  get slotsEnd(): number {
    return this.#index.slotsEnd;
  }

  /** Reads the entry's tail, where it is not known. A copy is not given: what it is a copy of is in memory. */
  responseAt(slot: number): StoredResponse | undefined {
    if (!this.#index.isTaken(slot) || this.copies.originalOf(slot) !== undefined) return undefined;
    const known = this.#volatile.get(slot) ?? this.#known.get(slot);
    if (known !== undefined) return known;
    const read = this.#read(slot);
    if (read !== undefined) this.#remember(slot, read);
    return read;
  }

  /** Whether what is in this slot may be what one of the hints is of: told without reading it. */
  mayBe(hints: readonly DigestHint[], slot: number): boolean {
    return hints.some((hint) => mayBe(hint, this.#index.digest(slot)));
  }

  /** Whether nobody knows what is in this slot: after {@link responseAt}, that its file can not be read just now. */
  isUnread(slot: number): boolean {
    if (!this.#index.isTaken(slot) || this.copies.originalOf(slot) !== undefined) return false;
    return !this.#volatile.has(slot) && this.#known.peek(slot) === undefined;
  }

  /**
   * Drops what may be a variant of `key`, but can not be read just now: it may be what is to go. What is in a directory that can not be read stays, and is told of as
   * {@link filesLeft}.
   *
   * @returns How many.
   */
  dropUnread(key: string): number {
    const hash = this.#hashOf(key);
    const slots = this.#index.slotsOf(hash).filter((slot) => this.isUnread(slot));
    for (const slot of slots) this.#drop(slot);
    this.#files.directories.tellUnlisted(partitionOf(hash));
    return slots.length;
  }

  slotOf(response: StoredResponse): number | undefined {
    return this.#places.slotOf(response);
  }

  has(response: StoredResponse): boolean {
    return this.slotOf(response) !== undefined;
  }

  adopt(response: StoredResponse): void {
    const slot = this.slotOf(response);
    if (slot === undefined || this.#volatile.has(slot)) return;
    const stored = this.responseAt(slot);
    if (stored === undefined || stored === response) return;
    response.body = stored.body;
    this.#known.add(slot, response);
  }

  touch(response: StoredResponse, uses: number): void {
    const slot = this.slotOf(response);
    if (slot !== undefined) this.#index.touch(slot, uses);
  }

  store(response: StoredResponse): boolean {
    const { body } = response;
    this.dropReplaced(response);
    const isWhole = response.parts === undefined && response.onlyForRange === undefined;
    const slot = isWhole && body instanceof BodyFile ? this.#commit(response, body) : this.#addVolatile(response);
    if (slot === undefined) {
      body.discard();
      return false;
    }
    if (!this.#volatile.has(slot)) this.#remember(slot, response);
    return true;
  }

  /** Drops the variants that `response` takes the place of, here or in another tier, and the oldest of too many. */
  dropReplaced(response: StoredResponse): void {
    const { key, variant } = response;
    const hash = this.#hashOf(key);
    this.#list(partitionOf(hash));
    if (!this.#index.has(hash)) return;
    for (const slot of this.#index.slotsOf(hash)) {
      const other = this.#volatile.get(slot);
      if (other !== undefined && other !== response && other.key === key && replaces(response, other)) this.#drop(slot);
    }
    if (response.onlyForRange === undefined) {
      const replaced = this.#index.find(hash, entryId(key, variant.varyKey));
      if (replaced !== undefined) this.#drop(replaced);
    }
    const slots = this.#index.slotsOf(hash);
    if (slots.length >= VARIANTS_MAX) this.#drop(slots[0]!);
  }

  /** Writes the entry's tail anew; where that fails, the entry goes. */
  renewed(response: StoredResponse): void {
    this.adopt(response);
    const slot = this.slotOf(response);
    if (slot === undefined || this.#volatile.has(slot)) return;
    this.#index.touch(slot, 1);
    if (!this.#rewriteTail(slot, response, response.body as BodyFile)) this.#drop(slot);
  }

  invalidate(key: string, response?: StoredResponse): number {
    if (response !== undefined) {
      const slot = this.slotOf(response);
      if (slot !== undefined) this.#drop(slot);
      return slot === undefined ? 0 : 1;
    }
    let count = 0;
    for (const one of this.lookup(key)) count += this.invalidate(key, one);
    return count + this.dropUnread(key);
  }

  /** What is stored stays for the next life; what could not outlive this one goes. */
  close(): void {
    for (const slot of [...this.#volatile.keys()]) this.#drop(slot);
  }

  /** Begins no read by another thread any more; resolves when those that are under way are over. */
  endReads(): Promise<void> {
    return this.#files.turns.close();
  }

  // -- Life

  /** Whether all that a former life has stored is known. */
  get isListed(): boolean {
    return this.#files.directories.areListed;
  }

  /** Lists the next directory of a former life's entries; false when all have been. Until then each is listed when something in it is asked for. */
  listNext(): boolean {
    if (this.isListed) return false;
    this.#list(this.#files.directories.next());
    return !this.isListed;
  }

  /** Tries once more to list directories that could not be read; those that can not be read now either are told of as {@link filesLeft}. */
  listUnlisted(): void {
    const { directories } = this.#files;
    for (const partition of directories.unlisted) this.#list(partition);
    directories.tellUnlisted();
  }

  /** Drops what is of no use to anybody, a few entries at a time; keeps the file system from filling up. @param nowSeconds Since the epoch. */
  sweep(nowSeconds: number): void {
    this.#files.look();
    const [unlisted] = this.#files.directories.unlisted;
    if (unlisted !== undefined) this.#list(unlisted);
    for (let looked = 0; looked < Math.min(SWEEP_ENTRIES, this.#index.slotsEnd); looked++) {
      const slot = this.#sweepAt++ % this.#index.slotsEnd;
      if (!this.#index.isTaken(slot)) continue;
      const { usefulUntilSeconds: until } = this.#index.entry(slot);
      if (until !== 0 && until < nowSeconds && this.#bodyAt(slot)?.isHeld !== true) this.#drop(slot);
    }
  }

  // -- Files and index

  #hashOf(key: string): number {
    if (key !== this.#hashed.key) this.#hashed = { key, hash: targetHash(targetOf(key)) };
    return this.#hashed.hash;
  }

  #list(partition: number): void {
    const { directories } = this.#files;
    if (!directories.hasListed(partition))
      for (const entry of directories.list(partition, this.#options.owns)) this.#found(entry);
    while (this.usedBytes > this.limitBytes) if (!this.evict()) break;
  }

  #found(entry: EntryName): void {
    if (this.#index.find(entry.hash, entry) !== undefined) {
      this.#unlink(entry); // a former life ended between a rename and an unlink: one of the two is enough
      return;
    }
    const diskBytes = diskBytesOf(entry.fileBytes);
    this.#index.add(entry, diskBytes, true);
    this.#files.found(diskBytes);
  }

  /** Completes the file and gives it its name; the slot, or undefined when there is no room or the medium refused. */
  #commit(response: StoredResponse, body: BodyFile): number | undefined {
    const entry = this.#files.commit(this.#hashOf(response.key), response, body);
    if (entry === undefined) return undefined;
    const slot = this.#index.add(entry, body.takenBytes, false);
    this.#slotOfBody.set(body, { slot, serial: this.#index.serial(slot) });
    return slot;
  }

  #addVolatile(response: StoredResponse): number {
    const { key, variant, onlyForRange = "" } = response;
    const id = entryId(key, `${variant.varyKey}\0${onlyForRange}\0${this.#nextVolatile++}`);
    const entry: EntryName = { hash: this.#hashOf(key), ...id, fileBytes: 0, usefulUntilSeconds: 0, digest: 0 };
    const slot = this.#index.add(entry, diskBytesOf(response.body.bytes), false);
    this.#volatile.set(slot, response);
    this.#places.set(response, slot);
    return slot;
  }

  #rewriteTail(slot: number, response: StoredResponse, body: BodyFile): boolean {
    this.#busySlot = slot;
    const entry = this.#files.rewrite(this.#index.entry(slot), response, body);
    this.#busySlot = undefined;
    if (entry === undefined) return false;
    this.#index.change(slot, entry, body.takenBytes);
    return true;
  }

  /** The same, of an entry that nobody knows: what its file has is read first. Where it can not be written, the entry goes. */
  #rewrite(slot: number, response: StoredResponse): void {
    const kept = this.#read(slot);
    if (kept !== undefined && !this.#rewriteTail(slot, response, kept.body as BodyFile)) this.#drop(slot);
  }

  /** The entry as its file has it; undefined when it can not be read now. One that can not be read as it was written is dropped. */
  #read(slot: number): StoredResponse | undefined {
    try {
      const entry = this.#index.entry(slot);
      return this.#responseIn(slot, entry, this.#files.read(entry));
    } catch (error) {
      if (saysNothingOfFile(error)) this.#files.onFault(error as Error);
      else this.#dropUnreadable(slot, error as Error);
      return undefined;
    }
  }

  #bring(slot: number): Promise<void> | undefined {
    if (!this.isUnread(slot)) return undefined;
    const entry = this.#index.entry(slot);
    const take = (file: EntryFile) => this.#remember(slot, this.#responseIn(slot, entry, file));
    try {
      const file = this.#files.readAtHand(entry);
      if (file !== undefined) return void take(file);
    } catch {
      return undefined; // whoever looks it up comes to the same, and tells
    }
    return this.#tails.bring(
      slot,
      () => this.#files.readLater(entry),
      take,
      (error) => {
        if (!saysNothingOfFile(error)) this.#dropUnreadable(slot, error as Error);
      },
    );
  }

  #dropUnreadable(slot: number, error: Error): void {
    this.#options.onBroken(error);
    this.#drop(slot);
  }

  #responseIn(slot: number, entry: EntryName, { meta, sums, bodyBytes }: EntryFile): StoredResponse {
    const path = this.#files.directories.pathOf(entry);
    const takenBytes = diskBytesOf(entry.fileBytes);
    const body =
      this.copies.bodyAt(slot) ?? BodyFile.existing(this.#files, { path, bytes: bodyBytes, sums, takenBytes });
    this.#slotOfBody.set(body, { slot, serial: this.#index.serial(slot) });
    const headBlock = renderHeadBlock(meta.fields, "ours");
    return { ...meta, stripe: stripeOf(entry.hash), headBlock, body, bodyBytes, quietUntilMs: 0 };
  }

  /** The body of an entry, where somebody may hold it. */
  #bodyAt(slot: number): BodyStore | undefined {
    return (this.#volatile.get(slot) ?? this.#known.peek(slot))?.body ?? this.copies.bodyAt(slot);
  }

  #remember(slot: number, response: StoredResponse): void {
    this.#tails.forget(slot);
    this.copies.owned(slot);
    this.#known.add(slot, response);
    this.#places.set(response, slot);
  }

  #hasDropped(body: BodyFile): boolean {
    const place = this.#slotOfBody.get(body);
    return place !== undefined && this.#index.serial(place.slot) !== place.serial;
  }

  #dropBroken(body: BodyFile): void {
    const place = this.#slotOfBody.get(body);
    if (place !== undefined && this.#index.serial(place.slot) === place.serial) this.#drop(place.slot);
  }

  #unlink(entry: EntryName): void {
    this.#files.unlink(this.#files.directories.pathOf(entry));
  }

  /** Removes an entry: its file, its room, all that is known of it. */
  #drop(slot: number): void {
    const entry = this.#index.entry(slot);
    this.#index.remove(slot);
    this.#forget(slot, entry);
  }

  #forget(slot: number, entry: EntryName): void {
    const body = this.#bodyAt(slot);
    this.#known.delete(slot);
    this.#tails.forget(slot);
    this.#volatile.delete(slot);
    this.copies.forget(slot);
    if (body !== undefined) {
      body.discard();
      return;
    }
    this.#unlink(entry);
    this.#files.giveBack(diskBytesOf(entry.fileBytes));
  }
}
