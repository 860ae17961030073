import type { FileSystem } from "./file-system.ts";

/** Of the file system, this stays free for others: a hundredth of it, but so much, and no more than that. */
const FREE_SHARE = 100;
const FREE_BYTES_MIN = 1024 * 1024;
const FREE_BYTES_MAX = 256 * 1024 * 1024;
/** How often that is looked at; with less than eight times as much free, of either, before each new body. */
const CHECK_EVERY_MS = 1_000;
const PLENTY = 8;
/** And once we have taken this part of what is free beyond that: other shards, and others, take as well. */
const TAKEN_SHARE = 16;

/** What a tier does to leave room for others. */
export interface SpaceMaker {
  readonly usedBytes: number;
  /** Lets one entry go; false when none may. */
  evict(): boolean;
  /** The file system has been asked, and has refused. */
  onFault(error: Error): void;
  /** Others need what is left of the file system, although nothing of ours is left to go; or no more. */
  onSpace(hasSpace: boolean, error: Error | undefined): void;
}

/** Whether a file system has room, and inodes, for more than us; makes some where it has not. */
export class FreeSpace {
  readonly #directory: string;
  readonly #files: FileSystem;
  readonly #nowMs: () => number;
  readonly #maker: SpaceMaker;
  #nextCheckMs = 0;
  /** The tier's bytes, and bodies from now on, with which the next look is due before that. */
  #nextCheckBytes = 0;
  #bodiesLeft = 0;
  #hasSpace = true;

  /** @param nowMs Monotonic. */
  constructor(directory: string, files: FileSystem, nowMs: () => number, maker: SpaceMaker) {
    this.#directory = directory;
    this.#files = files;
    this.#nowMs = nowMs;
    this.#maker = maker;
  }

  /** As it was found last. */
  get isThere(): boolean {
    return this.#hasSpace;
  }

  check(): boolean {
    const nowMs = this.#nowMs();
    if (nowMs < this.#nextCheckMs && this.#maker.usedBytes < this.#nextCheckBytes && this.#bodiesLeft-- > 0)
      return this.#hasSpace;
    try {
      const { freeBytes, totalBytes, freeFiles, totalFiles } = this.#files.space(this.#directory);
      const reserve = Math.min(FREE_BYTES_MAX, Math.max(FREE_BYTES_MIN, totalBytes / FREE_SHARE));
      const reservedFiles = totalFiles / FREE_SHARE;
      const isPlenty = freeBytes > PLENTY * reserve && (totalFiles === 0 || freeFiles > PLENTY * reservedFiles);
      this.#nextCheckMs = isPlenty ? nowMs + CHECK_EVERY_MS : 0;
      this.#nextCheckBytes = this.#maker.usedBytes + (freeBytes - PLENTY * reserve) / TAKEN_SHARE;
      this.#bodiesLeft = totalFiles === 0 ? Infinity : (freeFiles - PLENTY * reservedFiles) / TAKEN_SHARE;
      this.#becomes(this.#make(reserve - freeBytes, reservedFiles - freeFiles));
      return this.#hasSpace;
    } catch (error) {
      this.#maker.onFault(error as Error);
      return false;
    }
  }

  /** False when there is nothing left that could go. */
  #make(missingBytes: number, missingFiles: number): boolean {
    const target = this.#maker.usedBytes - Math.max(0, missingBytes);
    let files = missingFiles;
    while (files > 0 || this.#maker.usedBytes > target) {
      if (!this.#maker.evict()) return false;
      files--;
    }
    return true;
  }

  #becomes(hasSpace: boolean): void {
    if (hasSpace === this.#hasSpace) return;
    this.#hasSpace = hasSpace;
    const code = "ENOSPC";
    const error = Object.assign(new Error(`${code}: others need what is left of the file system`), { code });
    this.#maker.onSpace(hasSpace, hasSpace ? undefined : error);
  }
}
