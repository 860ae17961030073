import { RingEnd, type RingWait, type RingWaitAsync } from "./ring-end.ts";
import { RING } from "./ring-layout.ts";
import type { SharedMemory } from "./shared-memory.ts";

/** Bytes that the async iterator asks for at once. */
const ITERATED_BYTES_MAX = 65_536;

/** The reading end of a {@link Ring}. Get one from {@link Ring.reader}. Not shared between threads. */
export class RingReader implements Disposable, AsyncIterable<Uint8Array> {
  readonly #end: RingEnd;
  readonly #capacity: number;
  // Private, so that a peer that scribbles over the shared copy can not move it.
  #read: number;
  #written: number;

  /** @internal Rings make their ends. */
  constructor(memory: SharedMemory, capacity: number) {
    this.#end = new RingEnd(memory, "reader");
    this.#capacity = capacity;
    this.#read = this.#end.ownPosition();
    this.#written = this.#read;
  }

  /**
   * Copies out what is there, as much as fits.
   *
   * @param into At least one byte long; not touched beyond what is returned.
   * @returns How many bytes; 0 when the writer has closed its end and all has been read; `undefined`: nothing now.
   * @throws {RingError} `ERR_IPC_RING_CLOSED`: this end is closed. `ERR_IPC_RING_CORRUPT`: the writer's position can
   *   not be true.
   */
  tryRead(into: Uint8Array): number | undefined {
    if (this.#end.isClosed) throw this.#end.error("ERR_IPC_RING_CLOSED", "it is closed");
    if (into.length === 0) throw new RangeError("Cannot read into 0 bytes: 0 would look like the end of the stream");
    let ready = this.#available();
    if (ready === 0) return this.#hasEnded() ? 0 : undefined;
    if (ready > into.length) ready = into.length;
    this.#copyOut(into, ready);
    this.#read = (this.#read + ready) >>> 0;
    this.#end.publish(this.#read);
    return ready;
  }

  /**
   * Reads, and blocks this thread while there is nothing: for Workers, never for an event loop.
   *
   * @returns As {@link RingReader.tryRead}; `undefined` only when the time is over.
   * @throws {RingError} As {@link RingReader.tryRead}; `ERR_IPC_RING_PEER_DIED`: the writer's thread has ended without
   *   closing, and all that it wrote has been read.
   */
  read(into: Uint8Array, options: RingWait = {}): number | undefined {
    const ready = this.tryRead(into);
    if (ready !== undefined) return ready;
    return this.#end.wait(() => this.#hasNews(), options) ? this.tryRead(into) : undefined;
  }

  /**
   * Reads, and waits without blocking while there is nothing. One such call at a time.
   *
   * @returns As {@link RingReader.read}.
   * @throws {RingError} As {@link RingReader.read}. The signal's reason, when it was aborted.
   */
  async readAsync(into: Uint8Array, options: RingWaitAsync = {}): Promise<number | undefined> {
    const ready = this.tryRead(into);
    if (ready !== undefined) return ready;
    return (await this.#end.waitAsync(() => this.#hasNews(), options)) ? this.tryRead(into) : undefined;
  }

  /** The stream in pieces of at most 64 KiB, each in memory of its own, until the writer closes its end. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    const scratch = new Uint8Array(new ArrayBuffer(Math.min(this.#capacity, ITERATED_BYTES_MAX)));
    for (;;) {
      const length = await this.readAsync(scratch);
      if (length === 0) return;
      if (length !== undefined) yield scratch.slice(0, length);
    }
  }

  /** Says that nothing more will be read: the writer's next write fails. No error when it is closed already. */
  close(): void {
    this.#end.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Bytes to read. Asks the writer only when none are known: its position is in another core's cache. */
  #available(): number {
    const known = (this.#written - this.#read) >>> 0;
    if (known > 0) return known;
    const position = this.#end.peerPosition();
    const available = (position - this.#read) >>> 0;
    if (available > this.#capacity) {
      throw this.#end.error(
        "ERR_IPC_RING_CORRUPT",
        `the writer says ${position}, which is ${available} beyond what was read, of ${this.#capacity}`,
      );
    }
    this.#written = position;
    return available;
  }

  #hasNews(): boolean {
    return this.#end.isClosed || this.#available() > 0 || this.#end.peerIsClosed();
  }

  /** The writer may have written and closed between two looks: the closing is read first, the position after it. */
  #hasEnded(): boolean {
    return this.#end.peerIsClosed() && this.#available() === 0;
  }

  #copyOut(into: Uint8Array, length: number): void {
    const source = this.#end.memory.bytes;
    const start = this.#read & (this.#capacity - 1);
    const first = this.#capacity - start;
    if (length <= first) {
      into.set(source.subarray(RING.bytes + start, RING.bytes + start + length));
      return;
    }
    into.set(source.subarray(RING.bytes + start, RING.bytes + this.#capacity));
    into.set(source.subarray(RING.bytes, RING.bytes + length - first), first);
  }
}
