import { Deadline } from "./deadline.ts";
import { RingEnd, type RingWait, type RingWaitAsync } from "./ring-end.ts";
import { RING } from "./ring-layout.ts";
import type { SharedMemory } from "./shared-memory.ts";

/** The writing end of a {@link Ring}. Get one from {@link Ring.writer}. Not shared between threads. */
export class RingWriter implements Disposable {
  readonly #end: RingEnd;
  readonly #capacity: number;
  // Private, so that a peer that scribbles over the shared copy can not move it.
  #written: number;
  #read: number;
  /** A writeAsync has written a part of its bytes: what others wrote now would stand in the middle of them. */
  #writing = false;

  /** @internal Rings make their ends. */
  constructor(memory: SharedMemory, capacity: number) {
    this.#end = new RingEnd(memory, "writer");
    this.#capacity = capacity;
    this.#written = this.#end.ownPosition();
    this.#read = this.#written;
  }

  /**
   * Copies in as many of the bytes as there is room for, from the first.
   *
   * @returns How many: 0 when the ring is full.
   * @throws {RingError} `ERR_IPC_RING_CLOSED`: the reader has closed its end, or this one is closed.
   *   `ERR_IPC_RING_CORRUPT`: the reader's position can not be true.
   * @throws {Error} A {@link RingWriter.writeAsync} is under way.
   */
  tryWrite(bytes: Uint8Array): number {
    this.#assertIdle();
    return this.#write(bytes);
  }

  /**
   * Writes all the bytes and blocks this thread while the ring is full: for Workers, never for an event loop.
   *
   * @returns How many were written: fewer than all only when the time was over.
   * @throws {RingError} As {@link RingWriter.tryWrite}; `ERR_IPC_RING_PEER_DIED`: the reader's thread has ended.
   */
  write(bytes: Uint8Array, options: RingWait = {}): number {
    let done = this.tryWrite(bytes);
    if (done === bytes.length) return done;
    const deadline = new Deadline(options.timeoutMs ?? Number.POSITIVE_INFINITY);
    while (done < bytes.length) {
      if (!this.#end.wait(() => this.#hasRoom(), { timeoutMs: deadline.restMs })) break;
      done += this.tryWrite(bytes.subarray(done));
    }
    return done;
  }

  /**
   * Writes all the bytes and waits, without blocking, while the ring is full. Until it is done nothing else can be
   * written, and the bytes must not change.
   *
   * @returns How many were written: fewer than all only when the time was over.
   * @throws {RingError} As {@link RingWriter.write}. The signal's reason, when it was aborted.
   */
  async writeAsync(bytes: Uint8Array, options: RingWaitAsync = {}): Promise<number> {
    let done = this.tryWrite(bytes);
    if (done === bytes.length) return done;
    const deadline = new Deadline(options.timeoutMs ?? Number.POSITIVE_INFINITY);
    this.#writing = true;
    try {
      while (done < bytes.length) {
        if (!(await this.#end.waitAsync(() => this.#hasRoom(), { ...options, timeoutMs: deadline.restMs }))) break;
        done += this.#write(bytes.subarray(done));
      }
      return done;
    } finally {
      this.#writing = false;
    }
  }

  /** Ends the stream: the reader gets what is in the ring, then 0. No error when it is closed already. */
  close(): void {
    this.#end.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #write(bytes: Uint8Array): number {
    this.#assertWritable();
    let room = this.#room(bytes.length);
    if (room > bytes.length) room = bytes.length;
    if (room === 0) return 0;
    this.#copyIn(room === bytes.length ? bytes : bytes.subarray(0, room));
    this.#written = (this.#written + room) >>> 0;
    this.#end.publish(this.#written);
    return room;
  }

  /** Bytes that fit. Asks the reader only when what is known is not enough: its position is in another core's cache. */
  #room(wanted: number): number {
    const known = this.#capacity - ((this.#written - this.#read) >>> 0);
    if (known >= wanted) return known;
    const position = this.#end.peerPosition();
    // It may only have come forward, and not beyond what was written.
    const used = (this.#written - position) >>> 0;
    if (used > (this.#written - this.#read) >>> 0) {
      throw this.#end.error(
        "ERR_IPC_RING_CORRUPT",
        `the reader says ${position}, it was at ${this.#read} of ${this.#written}`,
      );
    }
    this.#read = position;
    return this.#capacity - used;
  }

  #hasRoom(): boolean {
    return this.#end.isClosed || this.#end.peerIsClosed() || this.#room(1) > 0;
  }

  #copyIn(bytes: Uint8Array): void {
    const target = this.#end.memory.bytes;
    const start = this.#written & (this.#capacity - 1);
    const first = this.#capacity - start;
    if (bytes.length <= first) {
      target.set(bytes, RING.bytes + start);
      return;
    }
    target.set(bytes.subarray(0, first), RING.bytes + start);
    target.set(bytes.subarray(first), RING.bytes);
  }

  #assertIdle(): void {
    if (this.#writing) throw new Error("Cannot write to the ring: a writeAsync() is under way; await it first");
  }

  #assertWritable(): void {
    if (this.#end.isClosed) throw this.#end.error("ERR_IPC_RING_CLOSED", "it is closed");
    if (this.#end.peerIsClosed()) throw this.#end.error("ERR_IPC_RING_CLOSED", "the reader has closed its end");
  }
}
