import { Doorbell } from "./doorbell.ts";
import { SystemCallError } from "./errno.ts";
import { type ObjectName, objectName } from "./object-name.ts";
import { bellName, hasDied } from "./ring-end.ts";
import { RingError } from "./ring-error.ts";
import { CAPACITY_MAX, CAPACITY_MIN, isCapacity, RING, RING_MAGIC, RING_VERSION } from "./ring-layout.ts";
import { RingReader } from "./ring-reader.ts";
import { RingWriter } from "./ring-writer.ts";
import { Semaphore } from "./semaphore.ts";
import { SharedMemory } from "./shared-memory.ts";

/**
 * A stream of bytes from one process or thread to another through shared memory: one writer, one reader, back-pressure
 * when it is full. The bytes are copied in and copied out, with no system call while both sides are busy.
 *
 * Both ends wait either blocking (in a Worker, or in a program that has nothing else to do) or asynchronously. The layout
 * is in docs/ipc-layouts.md, for peers in other languages.
 *
 * @example
 * using ring = Ring.create(objectName("/my-app.log"), 1 << 16);
 */
export class Ring implements Disposable {
  /** Bytes that the ring holds. */
  readonly capacity: number;
  readonly #memory: SharedMemory;
  readonly #ends: Disposable[] = [];

  private constructor(memory: SharedMemory, capacity: number) {
    this.#memory = memory;
    this.capacity = capacity;
  }

  /**
   * Makes a ring and maps it. Whoever creates it has to {@link Ring.unlink | unlink} it.
   *
   * @param capacity Bytes it can hold: a power of two, 64 to 2^30. It takes 256 more of /dev/shm.
   * @param name At most 248 bytes: the ends' doorbells are NAME.writer and NAME.reader.
   * @throws {RangeError} The capacity is not such a number.
   * @throws {InvalidNameError} `ERR_IPC_NAME`: the name is too long.
   * @throws {SystemCallError} As {@link SharedMemory.create}: `EEXIST`, `ENOSPC`, `EMFILE`.
   * @example
   * using ring = Ring.create(objectName("/my-app.log"), 1 << 16);
   */
  static create(name: ObjectName, capacity: number): Ring {
    if (!isCapacity(capacity)) {
      throw new RangeError(
        `Cannot make ring ${JSON.stringify(name)} of ${capacity} bytes: its capacity must be a power of two from ${CAPACITY_MIN} to ${CAPACITY_MAX}`,
      );
    }
    objectName(`${name}.writer`); // refused here rather than at the first wait
    const memory = SharedMemory.create(name, RING.bytes + capacity);
    Semaphore.at(memory, RING.room, 0);
    Semaphore.at(memory, RING.data, 0);
    memory.i32[RING.version >> 2] = RING_VERSION;
    memory.i32[RING.capacity >> 2] = capacity;
    // Last, and atomically: whoever sees the magic sees the rest.
    Atomics.store(memory.i32, RING.magic >> 2, RING_MAGIC);
    return new Ring(memory, capacity);
  }

  /**
   * Maps a ring that another thread or process has made.
   *
   * @throws {SystemCallError} `ENOENT`: never created, or unlinked. `EACCES`: another user's.
   * @throws {RingError} `ERR_IPC_RING_LAYOUT`: no ring, not one yet, or one of another version.
   * @example
   * using ring = Ring.open(objectName("/my-app.log"));
   */
  static open(name: ObjectName): Ring {
    const memory = SharedMemory.open(name);
    const fault = layoutFault(memory);
    if (fault !== undefined) {
      memory.close();
      throw new RingError("ERR_IPC_RING_LAYOUT", `Cannot open ring ${JSON.stringify(name)}: ${fault}`);
    }
    return new Ring(memory, memory.i32[RING.capacity >> 2]!);
  }

  /**
   * Takes the writing end for this thread. Once in a ring's life.
   *
   * @throws {RingError} `ERR_IPC_RING_TAKEN`.
   */
  writer(): RingWriter {
    return this.#keep(new RingWriter(this.#memory, this.capacity));
  }

  /**
   * Takes the reading end for this thread. Once in a ring's life.
   *
   * @throws {RingError} `ERR_IPC_RING_TAKEN`.
   */
  reader(): RingReader {
    return this.#keep(new RingReader(this.#memory, this.capacity));
  }

  /**
   * Removes the name, and the doorbell that a dead process may have left at its end. Those who have the ring open go on;
   * nobody can open it any more. No error when it is gone already, nor when this object is closed.
   */
  unlink(): void {
    if (!this.#memory.closed) return unlinkAll(this.#memory);
    try {
      using memory = SharedMemory.open(this.#memory.name!); // it says whether somebody died
      unlinkAll(memory);
    } catch (error) {
      if (!(error instanceof SystemCallError && error.code === "ENOENT")) throw error;
    }
  }

  /** Closes the ends taken through this object, then unmaps. The name stays until {@link Ring.unlink}. */
  close(): void {
    for (const end of this.#ends.splice(0)) end[Symbol.dispose]();
    this.#memory.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #keep<End extends Disposable>(end: End): End {
    this.#ends.push(end);
    return end;
  }
}

function unlinkAll(memory: SharedMemory): void {
  memory.unlink();
  for (const side of ["writer", "reader"] as const) {
    if (hasDied(memory, RING[side])) Doorbell.unlink(bellName(memory, side));
  }
}

function layoutFault(memory: SharedMemory): string | undefined {
  if (memory.length < RING.bytes + CAPACITY_MIN)
    return `it has ${memory.length} bytes, a ring has at least ${RING.bytes + CAPACITY_MIN}`;
  if (Atomics.load(memory.i32, RING.magic >> 2) !== RING_MAGIC)
    return "it is no ring, or its creator has not finished it";
  const version = memory.i32[RING.version >> 2]!;
  if (version !== RING_VERSION)
    return `its layout has version ${version}, this library knows ${RING_VERSION}; use the same version on both sides`;
  const capacity = memory.i32[RING.capacity >> 2]!;
  if (!isCapacity(capacity) || RING.bytes + capacity > memory.length)
    return `it says that it holds ${capacity} bytes, which can not be in ${memory.length}`;
  return undefined;
}
