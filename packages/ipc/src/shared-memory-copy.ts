import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from "node:fs";
import type { ObjectName } from "./object-name.ts";

/** Where shm_open(3) keeps its objects, on Linux. */
const DIRECTORY = "/dev/shm";
/** Whoever makes an object longer than anything that is looked at in this way is not to take the looker's memory. */
const LENGTH_MAX = 256 * 1024 * 1024;

/**
 * A copy of another process's shared memory, made anew by each {@link SharedMemoryCopy.refresh}. For whoever only looks, and must survive whatever is done to
 * the object: where somebody cuts it short, a mapping ends its process with SIGBUS, and a copy is told so.
 */
export class SharedMemoryCopy implements Disposable {
  /** What stood in the object at the last refresh. */
  readonly buffer: ArrayBuffer;
  readonly i32: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #fildes: number;
  #isClosed = false;

  private constructor(fildes: number, length: number) {
    this.#fildes = fildes;
    this.buffer = new ArrayBuffer(length);
    this.#bytes = new Uint8Array(this.buffer);
    this.i32 = new Int32Array(this.buffer, 0, Math.floor(length / 4));
  }

  /**
   * Opens an object at the length it has now, and copies it; undefined when there is none, it has no length yet or more than 256 MiB, or another user made it.
   *
   * @param options.writable For {@link SharedMemoryCopy.writeBack}.
   */
  static open(name: ObjectName, options: { writable?: boolean } = {}): SharedMemoryCopy | undefined {
    const access = options.writable === true ? constants.O_RDWR : constants.O_RDONLY;
    let fildes: number;
    try {
      fildes = openSync(`${DIRECTORY}${name}`, access | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch {
      return undefined;
    }
    const status = fstatSync(fildes);
    const isOurs = status.isFile() && status.uid === process.geteuid?.();
    const isToCopy = isOurs && status.size > 0 && status.size <= LENGTH_MAX;
    const copy = isToCopy ? new SharedMemoryCopy(fildes, status.size) : undefined;
    if (copy?.refresh() === true) return copy;
    closeSync(fildes);
    return undefined;
  }

  /** Copies the object anew, or `length` bytes of it. False when it is shorter than it was: somebody has cut it, and the copy is worth nothing. */
  refresh(offset = 0, length = this.#bytes.length): boolean {
    return !this.#isClosed && readSync(this.#fildes, this.#bytes, offset, length, offset) === length;
  }

  /**
   * Writes `length` bytes of the copy into the object. Of an object that was cut short it would make one with nothing but that: refresh first.
   *
   * @returns Whether that was done: where the object has been cut just now there may be no memory for it.
   */
  writeBack(offset: number, length: number): boolean {
    try {
      return !this.#isClosed && writeSync(this.#fildes, this.#bytes, offset, length, offset) === length;
    } catch {
      return false;
    }
  }

  /** Whether it can be opened by its name no more: somebody has unlinked it, and may have made another one under that name. */
  get isUnlinked(): boolean {
    return this.#isClosed || fstatSync(this.#fildes).nlink === 0;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    closeSync(this.#fildes);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
