import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import type { ObjectName } from "./object-name.ts";

/** Where shm_open(3) keeps its objects, on Linux. */
const DIRECTORY = "/dev/shm";

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

  /** Opens an object at the length it has now, and copies it; undefined when there is none, it has no length yet, or another user made it. */
  static open(name: ObjectName): SharedMemoryCopy | undefined {
    let fildes: number;
    try {
      fildes = openSync(`${DIRECTORY}${name}`, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch {
      return undefined;
    }
    const status = fstatSync(fildes);
    const isOurs = status.isFile() && status.uid === process.geteuid?.();
    const copy = isOurs && status.size > 0 ? new SharedMemoryCopy(fildes, status.size) : undefined;
    if (copy?.refresh() === true) return copy;
    closeSync(fildes);
    return undefined;
  }

  /** Copies the object anew. False when it is shorter than it was: somebody has cut it, and the copy is worth nothing. */
  refresh(): boolean {
    return !this.#isClosed && readSync(this.#fildes, this.#bytes, 0, this.#bytes.length, 0) === this.#bytes.length;
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
