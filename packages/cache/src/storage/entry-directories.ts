import { join } from "node:path";
import {
  type EntryName,
  formatEntryName,
  hashInName,
  PARTITIONS,
  parseEntryName,
  partitionDirectory,
  partitionOf,
} from "./entry-name.ts";
import { type FileSystem, isMissing } from "./file-system.ts";

/** So many files that could not be removed are remembered, to be removed later. */
const LEFT_MAX = 100_000;

/** The directories of a store's entries: which of them this life has listed, and what gets its name in them or loses it. */
export class EntryDirectories {
  readonly #directory: string;
  readonly #files: FileSystem;
  readonly #onFault: (error: Error) => void;
  readonly #isListed = new Uint8Array(PARTITIONS);
  /** Those that could not be read when they were to be listed: what is in them is not known. */
  readonly #unlisted = new Set<number>();
  readonly #isMade = new Uint8Array(PARTITIONS);
  /** Files that could not be removed. */
  readonly #left = new Set<string>();
  #leftCount = 0;
  #next = 0;

  /** @param onFault Told of each error of the medium. */
  constructor(directory: string, files: FileSystem, onFault: (error: Error) => void) {
    this.#directory = directory;
    this.#files = files;
    this.#onFault = onFault;
  }

  /** Whether all of them have been listed, in order, but for those that can not be read. */
  get areListed(): boolean {
    return this.#next === PARTITIONS;
  }

  /** The next one to be listed. */
  next(): number {
    return this.#next++;
  }

  /** Those that could not be read: they may be readable by now. */
  get unlisted(): number[] {
    return [...this.#unlisted];
  }

  /** What is in these should have been looked at, to be removed: those that can not be read count as files that are left. @param only One of them; undefined: all. */
  tellUnlisted(only?: number): void {
    this.#leftCount += only === undefined ? this.#unlisted.size : Number(this.#unlisted.has(only));
  }

  /** Files that could not be removed when they were to be: another life might find them. */
  get leftCount(): number {
    return this.#leftCount;
  }

  pathOf(entry: EntryName): string {
    return join(partitionDirectory(this.#directory, partitionOf(entry.hash)), formatEntryName(entry));
  }

  /** Whether it has been listed, and so never will be again. */
  hasListed(partition: number): boolean {
    return this.#isListed[partition] === 1;
  }

  /** The entries of one of them, when they are asked for for the first time. @param owns Whether those with this hash are wanted. */
  list(partition: number, owns: (hash: number) => boolean): EntryName[] {
    if (this.#isListed[partition] === 1) return [];
    const names = this.#namesIn(partition);
    if (names === undefined) {
      this.#unlisted.add(partition);
      return [];
    }
    this.#unlisted.delete(partition);
    this.#isListed[partition] = 1;
    if (names.length > 0) this.#isMade[partition] = 1;
    const entries: EntryName[] = [];
    for (const name of names) {
      const entry = owns(hashInName(name)) ? parseEntryName(name) : undefined;
      if (entry !== undefined) entries.push(entry);
    }
    return entries;
  }

  #namesIn(partition: number): string[] | undefined {
    try {
      return this.#files.list(partitionDirectory(this.#directory, partition));
    } catch (error) {
      this.#onFault(error as Error);
      return undefined;
    }
  }

  /** Gives a file the name of an entry; false when the medium refuses. */
  name(from: string, entry: EntryName): boolean {
    const partition = partitionOf(entry.hash);
    try {
      if (this.#isMade[partition] === 0) {
        this.#files.makeDirectory(partitionDirectory(this.#directory, partition));
        this.#isMade[partition] = 1;
      }
      const path = this.pathOf(entry);
      this.#files.rename(from, path);
      this.#left.delete(path);
      return true;
    } catch (error) {
      this.#isMade[partition] = 0;
      this.#onFault(error as Error);
      return false;
    }
  }

  unlink(path: string): void {
    try {
      this.#files.unlink(path);
    } catch (error) {
      if (isMissing(error)) return;
      this.#leftCount++;
      if (this.#left.size < LEFT_MAX) this.#left.add(path);
      this.#onFault(error as Error);
    }
  }

  /** Tries again to remove what could not be removed, until one can not be removed again. */
  unlinkLeft(): void {
    for (const path of this.#left) {
      this.#left.delete(path);
      this.unlink(path);
      if (this.#left.has(path)) return;
    }
  }
}
