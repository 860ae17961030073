import { join } from "node:path";
import { stripeOf, targetHash } from "@proj/protocol";
import { renderHeadBlock } from "../head-block.ts";
import { replaces, type StoredResponse } from "../stored-response.ts";
import type { Room } from "./block-list.ts";
import { BodyFile, type BodyFileHost, diskBytesOf } from "./body-file.ts";
import type { BodyStore } from "./body-store.ts";
import { DiskIndex } from "./disk-index.ts";
import { readEntryFile } from "./entry-file.ts";
import {
  type EntryName,
  entryId,
  formatEntryName,
  PARTITIONS,
  parseEntryName,
  partitionDirectory,
  partitionOf,
} from "./entry-name.ts";
import { encodeTail } from "./entry-tail.ts";
import { FILE_SYSTEM, type FileSystem, isMissing } from "./file-system.ts";
import { targetOf } from "./key-target.ts";
import { Medium } from "./medium.ts";
import { VARIANTS_MAX } from "./response-table.ts";
import type { Storage } from "./storage.ts";
import { incomingDirectory } from "./store-directory.ts";
import { usefulUntilSeconds } from "./usefulness.ts";

/** No body may take more than this part of the disk tier. */
const BODY_SHARE = 4;
/** Tails of so many entries are kept in memory once they have been read. */
const READ_ENTRIES_MAX = 4096;
/** Of the file system, this stays free for others: a hundredth of it, but so much, and no more than that. */
const FREE_SHARE = 100;
const FREE_BYTES_MIN = 1024 * 1024;
const FREE_BYTES_MAX = 256 * 1024 * 1024;
/** How often that is looked at; with less than eight times as much free, before each new body. */
const SPACE_CHECK_MS = 1_000;
const PLENTY = 8;
/** What goes at once when the file system says that it is full: a quota shows nowhere else. */
const SHED_SHARE = 16;
const FULL = new Set(["ENOSPC", "EDQUOT"]);
/** How many entries one sweep looks at. */
const SWEEP_ENTRIES = 2_000;
/** So many copies are passed over, then one goes: where nearly all are copies, nobody looks through all of them. */
const COPIES_SPARED_MAX = 64;
const NO_RESPONSES: readonly StoredResponse[] = [];

/** What the disk tier tells of. */
export interface DiskEvents {
  onEvict(): void;
  /** An error of the medium: ENOSPC, EIO, EROFS. What was at hand is not kept; the medium is left alone for a while. */
  onFault(error: Error): void;
  /** The medium turned bad, or good again. */
  onMedium(isGood: boolean, error: Error | undefined): void;
  /** What is stored is not what was written, or can not be read: it has been dropped. */
  onBroken(error: Error): void;
}

export interface DiskStorageOptions extends DiskEvents {
  /** The whole store's; {@link StoreDirectory} has prepared it. */
  readonly directory: string;
  readonly shard: number;
  /** Whether this shard owns the targets with this hash. */
  readonly owns: (hash: number) => boolean;
  readonly limitBytes: number;
  /** Monotonic. */
  readonly nowMs: () => number;
  readonly files?: FileSystem;
}

/**
 * The disk tier of one shard: a file for each stored response, body and metadata together, whose name says all that has to be known to find it
 * again. A file gets its name when all of it is written, by one rename, and goes by one unlink: whenever the process or the machine stops, a
 * response is there or it is not, and what is there is compared with its checksums before it is used.
 *
 * Nothing is forced to the medium (fsync): after a power cut a file may be short, empty or old, which its checksums or its absence tell.
 */
export class DiskStorage implements Storage, Room, BodyFileHost {
  readonly limitBytes: number;
  readonly bodyBytesMax: number;
  readonly files: FileSystem;
  readonly room: Room = this;
  readonly #options: DiskStorageOptions;
  readonly #incoming: string;
  readonly #index: DiskIndex;
  readonly #medium: Medium;
  /** Entries whose tail has been read, or that have only just been stored; the one that was wanted last is last. */
  readonly #responses = new Map<number, StoredResponse>();
  readonly #placeOf = new WeakMap<StoredResponse, { slot: number; serial: number }>();
  readonly #slotOfBody = new WeakMap<BodyFile, { slot: number; serial: number }>();
  /** Parts of bodies and the like, which do not outlive this process: their bodies are among the arriving files. */
  readonly #volatile = new Set<number>();
  /** Entries that are copies of what the memory tier holds, which answers for them. */
  readonly #copyOf = new Map<number, StoredResponse>();
  readonly #copies = new Map<StoredResponse, number>();
  readonly #outdated = new Set<StoredResponse>();
  /** Bodies of copies that somebody still reads, who began before memory had them. */
  readonly #readCopies = new Map<number, BodyFile>();
  readonly #isListed = new Uint8Array(PARTITIONS);
  readonly #hasDirectory = new Uint8Array(PARTITIONS);
  #partitionsListed = 0;
  #nextFile = 0;
  #usedBytes = 0;
  #sweepAt = 0;
  /** The entry that is being written to: it can not go to make room for itself. */
  #busySlot: number | undefined;
  #nextSpaceCheckMs = 0;
  #hasSpace = true;
  #isShedding = false;

  constructor(options: DiskStorageOptions) {
    this.#options = options;
    this.limitBytes = options.limitBytes;
    this.bodyBytesMax = Math.floor(options.limitBytes / BODY_SHARE);
    this.files = options.files ?? FILE_SYSTEM;
    this.#incoming = incomingDirectory(options.directory, options.shard);
    this.#index = new DiskIndex(options.limitBytes);
    this.#medium = new Medium(options.nowMs, options.onMedium);
    this.files.makeDirectory(this.#incoming);
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  get count(): number {
    return this.#index.count;
  }

  /** Entries that the memory tier holds too. */
  get copiesCount(): number {
    return this.#copies.size;
  }

  get isDegraded(): boolean {
    return !this.#medium.isGood || !this.#hasSpace;
  }

  // -- Room

  take(bytes: number): boolean {
    if (bytes > this.limitBytes) return false;
    while (this.#usedBytes + bytes > this.limitBytes) if (!this.#evict()) return false;
    this.#usedBytes += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#usedBytes -= bytes;
  }

  // -- BodyFileHost

  onFault(error: Error): void {
    this.#options.onFault(error);
    this.#medium.failed(error);
    if (!FULL.has((error as NodeJS.ErrnoException).code ?? "") || this.#isShedding) return;
    this.#isShedding = true;
    const target = this.#usedBytes * (1 - 1 / SHED_SHARE);
    while (this.#usedBytes > target && this.#evict());
    this.#isShedding = false;
  }

  onBroken(body: BodyFile, error: Error): void {
    const place = this.#slotOfBody.get(body);
    this.#options.onBroken(error);
    if (place !== undefined && this.#index.serial(place.slot) === place.serial) this.#drop(place.slot);
  }

  // -- Storage

  newBody(): BodyFile | undefined {
    // As long as not all is known that a former life has stored, nobody knows how much room there is.
    if (!this.isListed || !this.#medium.isUsable || !this.#checkSpace()) return undefined;
    try {
      return BodyFile.create(this, join(this.#incoming, (this.#nextFile++).toString(36)));
    } catch (error) {
      this.onFault(error as Error);
      return undefined;
    }
  }

  lookup(key: string): readonly StoredResponse[] {
    const hash = this.#hashOf(key);
    this.#list(partitionOf(hash));
    if (!this.#index.has(hash)) return NO_RESPONSES;
    const found: StoredResponse[] = [];
    for (const slot of this.#index.slotsOf(hash)) {
      if (this.#copyOf.has(slot)) continue;
      const response = this.#responseAt(slot);
      if (response?.key === key) found.push(response);
    }
    return found;
  }

  /** Reads every entry's tail: for purges and the like. Copies are not among it: what they are copies of is in memory. */
  *entries(): Iterable<StoredResponse> {
    for (let partition = 0; partition < PARTITIONS; partition++) this.#list(partition);
    for (let slot = 0; slot < this.#index.slotsEnd; slot++) {
      if (!this.#index.isTaken(slot) || this.#copyOf.has(slot)) continue;
      const response = this.#responseAt(slot);
      if (response !== undefined) yield response;
    }
  }

  has(response: StoredResponse): boolean {
    return this.#slotOf(response) !== undefined;
  }

  touch(response: StoredResponse, uses: number): void {
    const slot = this.#slotOf(response) ?? this.#copies.get(response);
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
    this.#remember(slot, response);
    return true;
  }

  /** Drops the variants that `response` takes the place of, here or in another tier, and the oldest of too many. */
  dropReplaced(response: StoredResponse): void {
    const { key, variant } = response;
    const hash = this.#hashOf(key);
    this.#list(partitionOf(hash));
    for (const slot of this.#index.slotsOf(hash)) {
      const other = this.#volatile.has(slot) ? this.#responses.get(slot) : undefined;
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
    if (this.#copies.has(response)) {
      this.#outdated.add(response);
      return;
    }
    const slot = this.#slotOf(response);
    if (slot === undefined || this.#volatile.has(slot)) return;
    this.#index.touch(slot, 1);
    const kept = this.#responseAt(slot);
    if (kept !== undefined) this.#renew(slot, kept, response);
  }

  invalidate(key: string, response?: StoredResponse): number {
    if (response !== undefined) {
      const slot = this.#slotOf(response);
      if (slot !== undefined) this.#drop(slot);
      return slot === undefined ? 0 : 1;
    }
    let count = 0;
    for (const one of this.lookup(key)) count += this.invalidate(key, one);
    return count;
  }

  /** What is stored stays for the next life; what could not outlive this one goes. */
  close(): void {
    for (const slot of [...this.#volatile]) this.#drop(slot);
  }

  // -- Copies of what the memory tier holds

  hasCopy(response: StoredResponse): boolean {
    return this.#copies.has(response);
  }

  /** Stores `body` as a copy of `response`, which is in the memory tier. @param body Filled by the caller, who holds it; it is discarded when it is not taken. */
  storeCopy(response: StoredResponse, body: BodyFile): boolean {
    this.dropReplaced(response);
    const slot = this.#commit(response, body);
    if (slot === undefined) {
      body.discard();
      return false;
    }
    this.#becomeCopy(slot, response);
    return true;
  }

  /** `response` is an entry of this tier; the memory tier answers for it from now on, and the file is its copy. */
  shadow(response: StoredResponse): void {
    const slot = this.#slotOf(response);
    if (slot === undefined) return;
    if (response.body instanceof BodyFile && response.body.isHeld) this.#readCopies.set(slot, response.body);
    this.#responses.delete(slot);
    this.#placeOf.delete(response);
    this.#becomeCopy(slot, response);
  }

  /** Copies whose originals have been validated meanwhile: until they are written anew, a restart would begin with what was known before. */
  get hasOutdated(): boolean {
    return this.#outdated.size > 0;
  }

  /** Writes the metadata of one such copy anew. */
  renewOutdated(): void {
    const [response] = this.#outdated;
    if (response !== undefined) this.#renewCopy(response);
  }

  /** The memory tier does not hold `response` any more: this tier answers again. */
  uncover(response: StoredResponse): void {
    if (this.#outdated.has(response)) this.#renewCopy(response);
    const slot = this.#copies.get(response);
    if (slot === undefined) return;
    this.#copies.delete(response);
    this.#copyOf.delete(slot);
  }

  /** `response` is not to be used any more, from any tier. */
  dropCopy(response: StoredResponse): void {
    const slot = this.#copies.get(response);
    if (slot !== undefined) this.#drop(slot);
  }

  // -- Life

  /** Whether all that a former life has stored is known. */
  get isListed(): boolean {
    return this.#partitionsListed === PARTITIONS;
  }

  /** Lists the next directory of a former life's entries; false when all have been. Until then each is listed when something in it is asked for. */
  listNext(): boolean {
    if (this.isListed) return false;
    this.#list(this.#partitionsListed++);
    return !this.isListed;
  }

  /** Drops what is of no use to anybody, a few entries at a time; keeps the file system from filling up. @param nowSeconds Since the epoch. */
  sweep(nowSeconds: number): void {
    this.#checkSpace();
    if (this.isDegraded) this.#probe();
    for (let looked = 0; looked < Math.min(SWEEP_ENTRIES, this.#index.slotsEnd); looked++) {
      const slot = this.#sweepAt++ % this.#index.slotsEnd;
      if (!this.#index.isTaken(slot)) continue;
      const { usefulUntilSeconds: until } = this.#index.entry(slot);
      if (until !== 0 && until < nowSeconds && this.#bodyAt(slot)?.isHeld !== true) this.#drop(slot);
    }
  }

  /** Writes a block and removes it: the medium may be good again although nobody has anything to store. */
  #probe(): void {
    const body = this.newBody();
    if (body === undefined) return;
    if (body.append(new Uint8Array(1))) this.#medium.worked();
    body.discard();
    body.release();
  }

  // -- Files and index

  #hashOf(key: string): number {
    return targetHash(targetOf(key));
  }

  #pathOf(entry: EntryName): string {
    return join(partitionDirectory(this.#options.directory, partitionOf(entry.hash)), formatEntryName(entry));
  }

  #list(partition: number): void {
    if (this.#isListed[partition] === 1) return;
    this.#isListed[partition] = 1;
    try {
      const names = this.files.list(partitionDirectory(this.#options.directory, partition));
      if (names.length > 0) this.#hasDirectory[partition] = 1;
      for (const name of names) this.#found(parseEntryName(name));
    } catch (error) {
      this.onFault(error as Error);
    }
    while (this.#usedBytes > this.limitBytes) if (!this.#evict()) break;
  }

  #found(entry: EntryName | undefined): void {
    if (entry === undefined || !this.#options.owns(entry.hash)) return;
    if (this.#index.find(entry.hash, entry) !== undefined) {
      this.#unlink(entry); // a former life ended between a rename and an unlink: one of the two is enough
      return;
    }
    const diskBytes = diskBytesOf(entry.fileBytes);
    this.#index.add(entry, diskBytes, true);
    this.#usedBytes += diskBytes;
  }

  /** Completes the file and gives it its name; the slot, or undefined when there is no room or the medium refused. */
  #commit(response: StoredResponse, body: BodyFile): number | undefined {
    const fileBytes = body.writeTail(encodeTail(response, body.sums(), body.bytes));
    if (fileBytes === undefined) return undefined;
    const entry: EntryName = {
      hash: this.#hashOf(response.key),
      ...entryId(response.key, response.variant.varyKey),
      fileBytes,
      usefulUntilSeconds: usefulUntilSeconds(response),
    };
    if (!this.#rename(body.path, entry)) return undefined;
    body.becomes(this.#pathOf(entry));
    this.#medium.worked();
    const slot = this.#index.add(entry, body.takenBytes, false);
    this.#slotOfBody.set(body, { slot, serial: this.#index.serial(slot) });
    return slot;
  }

  #addVolatile(response: StoredResponse): number {
    const { key, variant, onlyForRange = "" } = response;
    const id = entryId(key, `${variant.varyKey}\0${onlyForRange}\0${this.#nextFile++}`);
    const entry: EntryName = { hash: this.#hashOf(key), ...id, fileBytes: 0, usefulUntilSeconds: 0 };
    const slot = this.#index.add(entry, diskBytesOf(response.body.bytes), false);
    this.#volatile.add(slot);
    return slot;
  }

  #rename(from: string, entry: EntryName): boolean {
    const partition = partitionOf(entry.hash);
    try {
      if (this.#hasDirectory[partition] === 0) {
        this.files.makeDirectory(partitionDirectory(this.#options.directory, partition));
        this.#hasDirectory[partition] = 1;
      }
      this.files.rename(from, this.#pathOf(entry));
      return true;
    } catch (error) {
      this.#hasDirectory[partition] = 0;
      this.onFault(error as Error);
      return false;
    }
  }

  #renewCopy(response: StoredResponse): void {
    this.#outdated.delete(response);
    const slot = this.#copies.get(response);
    const kept = slot === undefined ? undefined : this.#read(slot);
    if (slot !== undefined && kept !== undefined) this.#renew(slot, kept, response);
  }

  #renew(slot: number, kept: StoredResponse, { variant, fields, headBlock, freshness, tags }: StoredResponse): void {
    Object.assign(kept, { variant, fields, headBlock, freshness, tags });
    if (!this.#rewriteTail(slot, kept)) this.#drop(slot);
  }

  #rewriteTail(slot: number, response: StoredResponse): boolean {
    const body = response.body as BodyFile;
    const before = this.#index.entry(slot);
    this.#busySlot = slot;
    const fileBytes = body.writeTail(encodeTail(response, body.sums(), body.bytes));
    this.#busySlot = undefined;
    if (fileBytes === undefined) return false;
    const id = entryId(response.key, response.variant.varyKey);
    const entry: EntryName = { hash: before.hash, ...id, fileBytes, usefulUntilSeconds: usefulUntilSeconds(response) };
    if (formatEntryName(entry) !== formatEntryName(before) && !this.#rename(body.path, entry)) return false;
    body.becomes(this.#pathOf(entry));
    this.#index.change(slot, entry, body.takenBytes);
    return true;
  }

  #responseAt(slot: number): StoredResponse | undefined {
    const known = this.#responses.get(slot);
    if (known === undefined) {
      const read = this.#read(slot);
      if (read !== undefined) this.#remember(slot, read);
      return read;
    }
    this.#responses.delete(slot); // to the end of the order
    this.#responses.set(slot, known);
    return known;
  }

  /** The entry as its file has it; one that can not be read as it was written is dropped. */
  #read(slot: number): StoredResponse | undefined {
    const entry = this.#index.entry(slot);
    const path = this.#pathOf(entry);
    try {
      const response = this.#readEntry(entry, path, slot);
      if (response !== undefined) return response;
      throw new Error(`Cannot use the stored response in "${path}": its metadata is not what was written`);
    } catch (error) {
      this.#options.onBroken(error as Error);
      this.#drop(slot);
      return undefined;
    }
  }

  #readEntry({ fileBytes, hash }: EntryName, path: string, slot: number): StoredResponse | undefined {
    const fildes = this.files.open(path);
    try {
      const file = readEntryFile(this.files, fildes, fileBytes);
      if (file === undefined) return undefined;
      const { meta, sums, bodyBytes } = file;
      const body =
        this.#readCopies.get(slot) ??
        BodyFile.existing(this, { path, bytes: bodyBytes, sums, takenBytes: diskBytesOf(fileBytes) });
      this.#slotOfBody.set(body, { slot, serial: this.#index.serial(slot) });
      const headBlock = renderHeadBlock(meta.fields, "ours");
      return { ...meta, stripe: stripeOf(hash), headBlock, body, bodyBytes, quietUntilMs: 0 };
    } finally {
      this.files.close(fildes);
    }
  }

  /** The body of an entry, where somebody may hold it. */
  #bodyAt(slot: number): BodyStore | undefined {
    return this.#responses.get(slot)?.body ?? this.#readCopies.get(slot);
  }

  #remember(slot: number, response: StoredResponse): void {
    this.#readCopies.delete(slot);
    this.#responses.set(slot, response);
    this.#placeOf.set(response, { slot, serial: this.#index.serial(slot) });
    if (this.#responses.size <= READ_ENTRIES_MAX + this.#volatile.size) return;
    for (const [oldest, { body }] of this.#responses) {
      if (this.#volatile.has(oldest) || body.isHeld || oldest === slot) continue;
      this.#responses.delete(oldest);
      return;
    }
  }

  #slotOf(response: StoredResponse): number | undefined {
    const place = this.#placeOf.get(response);
    return place !== undefined && this.#index.serial(place.slot) === place.serial ? place.slot : undefined;
  }

  #becomeCopy(slot: number, response: StoredResponse): void {
    this.#copyOf.set(slot, response);
    this.#copies.set(response, slot);
  }

  /** Removes an entry: its file, its room, all that is known of it. */
  #drop(slot: number): void {
    const entry = this.#index.entry(slot);
    this.#index.remove(slot);
    this.#forget(slot, entry);
  }

  #evict(): boolean {
    let spared = 0;
    const slot = this.#index.evict((one) => {
      if (one === this.#busySlot || this.#bodyAt(one)?.isHeld === true) return false;
      // What memory holds too is what is used most, and those uses are not seen here: others go first.
      return !this.#copyOf.has(one) || ++spared > COPIES_SPARED_MAX;
    });
    if (slot === undefined) return false;
    const entry = this.#index.entry(slot);
    this.#index.forget(slot);
    this.#forget(slot, entry);
    this.#options.onEvict();
    return true;
  }

  #forget(slot: number, entry: EntryName): void {
    const body = this.#bodyAt(slot);
    const original = this.#copyOf.get(slot);
    this.#responses.delete(slot);
    this.#readCopies.delete(slot);
    this.#volatile.delete(slot);
    this.#copyOf.delete(slot);
    if (original !== undefined) {
      this.#copies.delete(original);
      this.#outdated.delete(original);
    }
    if (body !== undefined) {
      body.discard();
      return;
    }
    this.#unlink(entry);
    this.#usedBytes -= diskBytesOf(entry.fileBytes);
  }

  #unlink(entry: EntryName): void {
    try {
      this.files.unlink(this.#pathOf(entry));
    } catch (error) {
      if (!isMissing(error)) this.onFault(error as Error);
    }
  }

  /** Whether the file system has room for more than us; makes some where it has not. */
  #checkSpace(): boolean {
    const nowMs = this.#options.nowMs();
    if (nowMs < this.#nextSpaceCheckMs) return this.#hasSpace;
    try {
      const { freeBytes, totalBytes, freeFiles, totalFiles } = this.files.space(this.#options.directory);
      const reserve = Math.min(FREE_BYTES_MAX, Math.max(FREE_BYTES_MIN, totalBytes / FREE_SHARE));
      const missingBytes = reserve - freeBytes;
      const missingFiles = totalFiles / FREE_SHARE - freeFiles;
      if (freeBytes > PLENTY * reserve) this.#nextSpaceCheckMs = nowMs + SPACE_CHECK_MS;
      this.#setHasSpace(this.#makeSpace(missingBytes, missingFiles));
      return this.#hasSpace;
    } catch (error) {
      this.onFault(error as Error);
      return false;
    }
  }

  /** False when there is nothing left that could go. */
  #makeSpace(missingBytes: number, missingFiles: number): boolean {
    const target = this.#usedBytes - Math.max(0, missingBytes);
    let files = missingFiles;
    while (files > 0 || this.#usedBytes > target) {
      if (!this.#evict()) return false;
      files--;
    }
    return true;
  }

  #setHasSpace(hasSpace: boolean): void {
    if (hasSpace === this.#hasSpace) return;
    this.#hasSpace = hasSpace;
    const code = "ENOSPC";
    const error = Object.assign(new Error(`${code}: others need what is left of the file system`), { code });
    if (!hasSpace) this.#options.onFault(error);
    this.#options.onMedium(hasSpace, hasSpace ? undefined : error);
  }
}
