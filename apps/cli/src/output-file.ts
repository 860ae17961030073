import { closeSync, openSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { cannotRun, errorCode } from "./command-error.ts";

/**
 * A file that comes into being whole or not at all: it is written beside its place under another name, and moved there by
 * {@link commit}. Until then a file of the same name stays as it was. A device or a FIFO (`/dev/null`) is written directly.
 */
export class OutputFile {
  readonly #path: string;
  readonly #partialPath: string | undefined;
  #fildes: number | undefined;
  #isInPlace = false;

  /** @throws {CommandError} Exit code 1: it can not be made. */
  constructor(path: string) {
    this.#path = path;
    this.#partialPath = isPlace(path) ? join(dirname(path), `.${basename(path)}.${process.pid}.part`) : undefined;
    this.#fildes = this.#try(() => openSync(this.#partialPath ?? path, this.#partialPath === undefined ? "w" : "wx"));
  }

  /** @throws {CommandError} Exit code 1: such as a disk that is full. */
  write(bytes: Uint8Array): void {
    let done = 0;
    while (done < bytes.length) done += this.#try(() => writeSync(this.#open, bytes, done));
  }

  commit(): void {
    this.#close();
    const partialPath = this.#partialPath;
    if (partialPath !== undefined) this.#try(() => renameSync(partialPath, this.#path));
    this.#isInPlace = true;
  }

  /** Removes what has been written, unless it is in its place. */
  discard(): void {
    if (this.#isInPlace) return;
    if (this.#fildes !== undefined) this.#close();
    if (this.#partialPath !== undefined) rmSync(this.#partialPath, { force: true });
  }

  get #open(): number {
    if (this.#fildes === undefined) throw new Error(`Cannot write ${this.#path}: it is closed`);
    return this.#fildes;
  }

  #close(): void {
    const fildes = this.#open;
    this.#fildes = undefined;
    this.#try(() => closeSync(fildes));
  }

  #try<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw cannotRun(`Cannot write ${this.#path}: ${errorCode(error)}; give another file with -o`, error);
    }
  }
}

/** Whether a regular file may be moved to this path. */
function isPlace(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? true;
}

/** Standard output, for the same hands. A reader that has gone (`| head`) ends the transfer. */
export class StandardOutput {
  write(bytes: Uint8Array): void {
    let done = 0;
    while (done < bytes.length) {
      try {
        done += writeSync(1, bytes, done);
      } catch (error) {
        // Somebody else made the pipe or the terminal non-blocking: wait for its reader as a blocking write would.
        if (errorCode(error) !== "EAGAIN")
          throw cannotRun(`Cannot write to standard output: ${errorCode(error)}`, error);
        Bun.sleepSync(1);
      }
    }
  }

  commit(): void {}

  discard(): void {}
}
