import { join } from "node:path";
import type { StoredResponse } from "../stored-response.ts";
import type { Room } from "./block-list.ts";
import { BodyFile, type BodyFileHost } from "./body-file.ts";
import { ColdReads } from "./cold-reads.ts";
import { digestOf } from "./entry-digest.ts";
import { EntryDirectories } from "./entry-directories.ts";
import { type EntryFile, readEntryFile, readEntryFileAtHand, readEntryFileLater } from "./entry-file.ts";
import { type EntryName, entryId, formatEntryName, isNameOf } from "./entry-name.ts";
import { encodeTail } from "./entry-tail.ts";
import { FILE_SYSTEM, type FileSystem, isMissing } from "./file-system.ts";
import { FreeSpace, type SpaceMaker } from "./free-space.ts";
import { Medium } from "./medium.ts";
import { ReadTurns } from "./read-turns.ts";
import { incomingDirectory, lockIn, makeIncomingDirectory } from "./store-directory.ts";
import { usefulUntilSeconds } from "./usefulness.ts";

/** What goes at once when the file system says that it is full: a quota shows nowhere else. */
const SHED_SHARE = 16;
const FULL = new Set(["ENOSPC", "EDQUOT"]);

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

export interface DiskFilesOptions extends DiskEvents {
  /** The whole store's; {@link StoreDirectory} has prepared it. */
  readonly directory: string;
  readonly shard: number;
  readonly limitBytes: number;
  /** Monotonic. */
  readonly nowMs: () => number;
  readonly files?: FileSystem;
}

/** Who knows what is in the files. */
export interface FilesOwner {
  /** Lets one entry go; false when none may. */
  evict(): boolean;
  /** Whether a body that was an entry's is so no more. */
  hasDropped(body: BodyFile): boolean;
  /** A file does not hold what was written: nobody may use it any more. */
  dropBroken(body: BodyFile): void;
}

/** The files of one shard's disk tier: the room that they take and its limit, how the medium is, and how an entry becomes a file, and a file an entry. */
export class DiskFiles implements Room, BodyFileHost, SpaceMaker {
  readonly limitBytes: number;
  readonly files: FileSystem;
  readonly room: Room = this;
  readonly turns = new ReadTurns();
  readonly coldReads: ColdReads<BodyFile>;
  readonly directories: EntryDirectories;
  readonly #options: DiskFilesOptions;
  readonly #owner: FilesOwner;
  readonly #incoming: string;
  readonly #medium: Medium;
  readonly #space: FreeSpace;
  #nextFile = 0;
  #usedBytes = 0;
  #isShedding = false;

  constructor(options: DiskFilesOptions, owner: FilesOwner) {
    const { directory, limitBytes, nowMs } = options;
    this.#options = options;
    this.#owner = owner;
    this.limitBytes = limitBytes;
    this.files = options.files ?? FILE_SYSTEM;
    this.coldReads = new ColdReads(this.files, this.turns);
    this.directories = new EntryDirectories(directory, this.files, (error) => this.onFault(error));
    this.#incoming = incomingDirectory(directory, options.shard);
    this.#medium = new Medium(nowMs, options.onMedium);
    this.#space = new FreeSpace(directory, this.files, nowMs, this);
    makeIncomingDirectory(this.files, directory, options.shard);
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  get isDegraded(): boolean {
    return !this.#medium.isGood || !this.#space.isThere;
  }

  // -- Room

  take(bytes: number): boolean {
    if (bytes > this.limitBytes) return false;
    while (this.#usedBytes + bytes > this.limitBytes) if (!this.evict()) return false;
    this.#usedBytes += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#usedBytes -= bytes;
  }

  /** A file of a former life has been found, which takes so much. More than the limit may be found. */
  found(diskBytes: number): void {
    this.#usedBytes += diskBytes;
  }

  // -- BodyFileHost, SpaceMaker

  evict(): boolean {
    return this.#owner.evict();
  }

  onFault(fault: Error): void {
    const error = isMissing(fault) ? this.#whenMissing(fault) : fault;
    this.#options.onFault(error);
    this.#medium.failed(error);
    if (!FULL.has((error as NodeJS.ErrnoException).code ?? "") || this.#isShedding) return;
    this.#isShedding = true;
    const target = this.#usedBytes * (1 - 1 / SHED_SHARE);
    while (this.#usedBytes > target && this.evict());
    this.#isShedding = false;
  }

  hasDropped(body: BodyFile): boolean {
    return this.#owner.hasDropped(body);
  }

  onBroken(body: BodyFile, error: Error): void {
    this.#options.onBroken(error);
    this.#owner.dropBroken(body);
  }

  unlink(path: string): void {
    this.directories.unlink(path);
  }

  onSpace(hasSpace: boolean, error: Error | undefined): void {
    if (error !== undefined) this.#options.onFault(error);
    this.#options.onMedium(hasSpace, error);
  }

  // -- Entries

  /** A file for a body that is about to arrive; undefined when the medium refuses. */
  newBody(): BodyFile | undefined {
    // As long as not all is known that a former life has stored, nobody knows how much room there is.
    if (!this.directories.areListed || !this.#medium.isUsable || !this.#space.check()) return undefined;
    try {
      return BodyFile.create(this, join(this.#incoming, (this.#nextFile++).toString(36)));
    } catch (error) {
      this.onFault(error as Error);
      return undefined;
    }
  }

  /** Completes the file of a body that has arrived, and gives it its name; undefined when there is no room or the medium refused. */
  commit(hash: number, response: StoredResponse, body: BodyFile): EntryName | undefined {
    const entry = this.#writeTail(hash, response, body);
    if (entry === undefined || !this.directories.name(body.path, entry)) return undefined;
    body.becomes(this.directories.pathOf(entry));
    this.#medium.worked();
    return entry;
  }

  /** Writes the tail of an entry anew, which may give it another name; undefined when there is no room or the medium refused. */
  rewrite(before: EntryName, response: StoredResponse, body: BodyFile): EntryName | undefined {
    const entry = this.#writeTail(before.hash, response, body);
    if (entry === undefined) return undefined;
    const isRenamed = formatEntryName(entry) !== formatEntryName(before);
    if (isRenamed && !this.directories.name(body.path, entry)) return undefined;
    body.becomes(this.directories.pathOf(entry));
    return entry;
  }

  /**
   * What the file of an entry holds besides the body.
   *
   * @throws The error of `open` or `read`; one that says so when it is not what was written.
   */
  read(entry: EntryName): EntryFile {
    const path = this.directories.pathOf(entry);
    const fildes = this.files.open(path);
    try {
      return this.#checked(entry, readEntryFile(this.files, fildes, entry.fileBytes));
    } finally {
      this.files.close(fildes);
    }
  }

  /** As {@link read}, where nothing has to be waited for; else undefined. */
  readAtHand(entry: EntryName): EntryFile | undefined {
    const fildes = this.files.openAtHand(this.directories.pathOf(entry));
    if (fildes === undefined) return undefined;
    try {
      const file = readEntryFileAtHand(this.files, fildes, entry.fileBytes);
      return file === "not-at-hand" ? undefined : this.#checked(entry, file);
    } finally {
      this.files.close(fildes);
    }
  }

  /** As {@link read}, by another thread; undefined once no read is begun any more. */
  readLater(entry: EntryName): Promise<EntryFile | undefined> {
    return this.turns.take(async () => {
      const fildes = await this.files.openLater(this.directories.pathOf(entry));
      try {
        return this.#checked(entry, await readEntryFileLater(this.files, fildes, entry.fileBytes));
      } finally {
        this.files.close(fildes);
      }
    });
  }

  /** Keeps the file system from filling up, and finds out whether a medium that was bad is good again. */
  look(): void {
    this.#space.check();
    if (this.isDegraded) this.#probe();
    else this.directories.unlinkLeft();
  }

  /** Somebody has removed directories. Without the lock another process may take what is made in their place, so nothing is. */
  #whenMissing(error: Error): Error {
    const { directory, shard } = this.#options;
    try {
      if (this.files.sizeOf(lockIn(directory)) !== undefined) {
        makeIncomingDirectory(this.files, directory, shard);
        return error;
      }
    } catch (another) {
      return another as Error;
    }
    const message = `"${directory}" has been removed; restart the cache, which makes it anew`;
    return Object.assign(new Error(message, { cause: error }), { code: "ENOENT" });
  }

  #checked(entry: EntryName, file: EntryFile | undefined): EntryFile {
    if (file !== undefined && isNameOf(entry, file.meta)) return file;
    const path = this.directories.pathOf(entry);
    throw new Error(`Cannot use the stored response in "${path}": its metadata is not what was written`);
  }

  #writeTail(hash: number, response: StoredResponse, body: BodyFile): EntryName | undefined {
    const fileBytes = body.writeTail(encodeTail(response, body.sums(), body.bytes));
    if (fileBytes === undefined) return undefined;
    return {
      hash,
      ...entryId(response.key, response.variant.varyKey),
      fileBytes,
      usefulUntilSeconds: usefulUntilSeconds(response),
      digest: digestOf(response.key, response.tags),
    };
  }

  /** Writes a block and removes it: the medium may be good again although nobody has anything to store. */
  #probe(): void {
    const body = this.newBody();
    if (body === undefined) return;
    if (body.append(new Uint8Array(1))) this.#medium.worked();
    body.discard();
    body.release();
  }
}
