import { renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { keyMatch } from "../key-selector.ts";
import { diskBytesOf } from "./body-file.ts";
import { isBodyWhole, readEntryFile } from "./entry-file.ts";
import {
  type EntryName,
  formatEntryName,
  isNameOf,
  parseEntryName,
  partitionDirectory,
  partitionOf,
} from "./entry-name.ts";
import type { EntryMeta } from "./entry-tail.ts";
import { FILE_SYSTEM } from "./file-system.ts";
import { PurgeJournal } from "./purge-journal.ts";
import { expectReadable, incomingDirectory, makeIncomingDirectory, StoreDirectory } from "./store-directory.ts";
import { openEntries } from "./store-reader.ts";

/**
 * A store in one file, for another machine. Integers are little-endian.
 *
 *   16 bytes      "webproxy-store 2"
 *   for each stored response
 *     2 bytes     length n of its name; 0: the end, after which 8 bytes count the responses
 *     n bytes     its name, which says how long its file is (entry-name.ts)
 *     ...         its file (entry-tail.ts), with all checksums in it
 */
const MAGIC = Buffer.from("webproxy-store 2");
const COPY_BYTES = 1024 * 1024;
/** Where an import makes its files: no shard has this number. */
const IMPORT_SHARD = 65_535;

/** A file is no archive of a store, or not all of one. */
export class ArchiveError extends Error {
  readonly code = "ERR_STORE_ARCHIVE";
}

/** What was moved, and what was not. */
export interface ArchiveCount {
  responses: number;
  bytes: number;
  /** Export: not as it was written, or purged. Import: there already, or no room left for it. */
  skipped: number;
}

/** Told again and again how far it is, in bytes. */
export type OnProgress = (doneBytes: number, totalBytes: number) => void;

/**
 * Writes all that the store in `directory` holds to `file`, whether a cache runs there or not. The file appears when it is complete.
 *
 * @throws The errors of `open`, `read` and `write`; nothing is left of the file then. `ERR_STORE_VERSION`: the store is of another version.
 */
export function exportStore(directory: string, file: string, onProgress?: OnProgress): ArchiveCount {
  statSync(directory); // a store that is not there is no empty one
  expectReadable(directory);
  const totalBytes = onProgress === undefined ? 0 : storedBytes(directory);
  const part = `${file}.part`;
  rmSync(part, { force: true });
  const writer = new ArchiveWriter(FILE_SYSTEM.create(part));
  const count = { responses: 0, bytes: 0, skipped: 0 };
  try {
    writer.write(MAGIC);
    const isPurged = purgesPendingIn(directory);
    for (const entry of openEntries(FILE_SYSTEM, directory)) {
      if (isPurged(entry.file.meta) || !isBodyWhole(FILE_SYSTEM, entry.fildes, entry.file)) {
        count.skipped++;
        continue;
      }
      const name = Buffer.from(entry.fileName);
      writer.write(Uint8Array.of(name.length & 255, name.length >> 8));
      writer.write(name);
      writer.copyFrom(entry.fildes, entry.name.fileBytes);
      count.responses++;
      count.bytes += entry.name.fileBytes;
      onProgress?.(Math.min(count.bytes, totalBytes), totalBytes);
    }
    writer.write(endOf(count.responses));
    FILE_SYSTEM.close(writer.fildes);
    renameSync(part, file);
    return count;
  } catch (error) {
    rmSync(part, { force: true });
    throw error;
  }
}

/**
 * Adds all that `file` holds to the store in `directory`, which no cache may be using. What is there already stays; what is not as it was written is refused.
 *
 * @param limitBytes Of the disk tier: what does not fit any more is skipped.
 * @throws {StoreDirectoryError} The directory can not be used, or a cache runs there. {@link ArchiveError} The file is no archive, or not all of one: what
 *   came before is in the store.
 */
export function importStore(
  directory: string,
  file: string,
  limitBytes: number,
  onProgress?: OnProgress,
): ArchiveCount {
  using store = StoreDirectory.open(directory);
  const fildes = FILE_SYSTEM.open(file);
  try {
    return new Import(store.path, new ArchiveReader(fildes, file), limitBytes).run(statSync(file).size, onProgress);
  } finally {
    FILE_SYSTEM.close(fildes);
    rmSync(incomingDirectory(store.path, IMPORT_SHARD), { recursive: true, force: true });
  }
}

function storedBytes(directory: string): number {
  let bytes = 0;
  for (const { name } of openEntries(FILE_SYSTEM, directory)) bytes += name.fileBytes;
  return bytes;
}

/** What a power cut may have brought back, and the next life will purge again: another machine would not know. */
function purgesPendingIn(directory: string): (meta: EntryMeta) => boolean {
  const purges = new PurgeJournal(directory).pending.filter(({ soft }) => !soft);
  const tests = purges.map(({ number, selectors }) => ({ number, matches: selectors.map(keyMatch) }));
  return ({ key, tags, purgesSeen }) =>
    tests.some(({ number, matches }) => purgesSeen < number && matches.some((test) => test(key, tags)));
}

class ArchiveWriter {
  readonly fildes: number;
  #position = 0;
  readonly #piece = new Uint8Array(COPY_BYTES);

  constructor(fildes: number) {
    this.fildes = fildes;
  }

  write(bytes: Uint8Array): void {
    FILE_SYSTEM.write(this.fildes, bytes, this.#position);
    this.#position += bytes.length;
  }

  copyFrom(fildes: number, length: number): void {
    for (let position = 0; position < length; ) {
      const count = FILE_SYSTEM.read(
        fildes,
        this.#piece.subarray(0, Math.min(COPY_BYTES, length - position)),
        position,
      );
      if (count === 0) throw new Error("a stored response became shorter while it was copied");
      this.write(this.#piece.subarray(0, count));
      position += count;
    }
  }
}

class ArchiveReader {
  readonly #fildes: number;
  readonly #path: string;
  #position = 0;
  readonly #piece = new Uint8Array(COPY_BYTES);

  constructor(fildes: number, path: string) {
    this.#fildes = fildes;
    this.#path = path;
  }

  /** How much has been read. */
  get position(): number {
    return this.#position;
  }

  take(length: number): Buffer {
    const bytes = Buffer.alloc(length);
    if (FILE_SYSTEM.read(this.#fildes, bytes, this.#position) < length) throw this.broken("it ends too early");
    this.#position += length;
    return bytes;
  }

  skip(length: number): void {
    this.#position += length;
  }

  copyTo(fildes: number, length: number): void {
    for (let position = 0; position < length; ) {
      const piece = this.#piece.subarray(0, Math.min(COPY_BYTES, length - position));
      if (FILE_SYSTEM.read(this.#fildes, piece, this.#position) < piece.length) throw this.broken("it ends too early");
      FILE_SYSTEM.write(fildes, piece, position);
      this.#position += piece.length;
      position += piece.length;
    }
  }

  broken(why: string): ArchiveError {
    return new ArchiveError(`Cannot import "${this.#path}": ${why}. Make it anew with webproxy export`);
  }
}

class Import {
  readonly #directory: string;
  readonly #archive: ArchiveReader;
  readonly #limitBytes: number;
  readonly #known = new Set<string>();
  readonly #count: ArchiveCount = { responses: 0, bytes: 0, skipped: 0 };
  #usedBytes = 0;

  constructor(directory: string, archive: ArchiveReader, limitBytes: number) {
    this.#directory = directory;
    this.#archive = archive;
    this.#limitBytes = limitBytes;
    makeIncomingDirectory(FILE_SYSTEM, directory, IMPORT_SHARD);
    for (const { name } of openEntries(FILE_SYSTEM, directory)) {
      this.#known.add(identityOf(name));
      this.#usedBytes += diskBytesOf(name.fileBytes);
    }
  }

  run(totalBytes: number, onProgress: OnProgress | undefined): ArchiveCount {
    if (!this.#archive.take(MAGIC.length).equals(MAGIC)) {
      throw this.#archive.broken("it is no export of a webproxy store, or one of another version");
    }
    for (;;) {
      const nameBytes = this.#archive.take(2).readUInt16LE(0);
      if (nameBytes === 0) break;
      const name = parseEntryName(this.#archive.take(nameBytes).toString("latin1"));
      if (name === undefined) throw this.#archive.broken("it holds a name that no store has given");
      this.#take(name);
      onProgress?.(this.#archive.position, totalBytes);
    }
    const promised = Number(this.#archive.take(8).readBigUInt64LE(0));
    if (promised !== this.#count.responses + this.#count.skipped) throw this.#archive.broken("responses are missing");
    return this.#count;
  }

  #take(name: EntryName): void {
    const identity = identityOf(name);
    if (this.#known.has(identity) || this.#usedBytes + diskBytesOf(name.fileBytes) > this.#limitBytes) {
      this.#archive.skip(name.fileBytes);
      this.#count.skipped++;
      return;
    }
    const arriving = join(incomingDirectory(this.#directory, IMPORT_SHARD), formatEntryName(name));
    const fildes = FILE_SYSTEM.create(arriving);
    try {
      this.#archive.copyTo(fildes, name.fileBytes);
      if (!isWhatItSays(fildes, name)) throw this.#archive.broken("a response in it is not what was exported");
    } finally {
      FILE_SYSTEM.close(fildes);
    }
    const partition = partitionDirectory(this.#directory, partitionOf(name.hash));
    FILE_SYSTEM.makeDirectory(partition);
    FILE_SYSTEM.rename(arriving, join(partition, formatEntryName(name)));
    this.#known.add(identity);
    this.#usedBytes += diskBytesOf(name.fileBytes);
    this.#count.responses++;
    this.#count.bytes += name.fileBytes;
  }
}

/** Checksums, and that the name is that of this response. */
function isWhatItSays(fildes: number, name: EntryName): boolean {
  const file = readEntryFile(FILE_SYSTEM, fildes, name.fileBytes);
  if (file === undefined || !isBodyWhole(FILE_SYSTEM, fildes, file)) return false;
  return isNameOf(name, file.meta);
}

function identityOf({ hash, idHigh, idLow }: EntryName): string {
  return `${hash} ${idHigh} ${idLow}`;
}

function endOf(responses: number): Uint8Array {
  const end = Buffer.alloc(10);
  end.writeBigUInt64LE(BigInt(responses), 2);
  return end;
}
