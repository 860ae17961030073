import { BLOCK_BYTES } from "./entry-tail.ts";
import type { FileSystem } from "./file-system.ts";

/** A portion of 256 KiB touches so many blocks at most. */
export const BLOCKS_AT_ONCE = 5;
/** So many reads are under way at once: Bun has a thread for each processor that does them, and purges wait for the same threads. */
const READING_MAX = 4;
/** Blocks that have been read wait for who wanted them: the memory for it is so many times {@link BLOCKS_AT_ONCE} blocks. */
const WINDOWS = 16;

/** What of which body is read. */
export interface ColdRead<Body> {
  readonly body: Body;
  readonly fildes: number;
  readonly firstBlock: number;
  /** From the first byte of the first block on. */
  readonly bytes: number;
  /** Asked when its turn comes. */
  readonly isWanted: () => boolean;
  /** Throws when the bytes are not those that were written. */
  readonly check: (bytes: Uint8Array) => void;
}

interface Window<Body> {
  readonly buffer: Uint8Array;
  read: ColdRead<Body> | undefined;
  /** Settles when it is over; undefined as soon as it is. */
  reading: Promise<void> | undefined;
  /** Blocks that nobody has taken yet. */
  readonly left: Set<number>;
}

/**
 * What bodies of one shard have on the medium only: read by other threads, checked, and kept until it is taken. The oldest that nobody has taken makes room for what is wanted
 * now: the kernel then has it at hand, most likely, and if not it is read again.
 */
export class ColdReads<Body> {
  readonly #files: FileSystem;
  /** Longest untouched first. */
  readonly #windows: Window<Body>[] = [];
  readonly #queue: (() => void)[] = [];
  #reading = 0;
  #isClosed = false;

  constructor(files: FileSystem) {
    this.#files = files;
  }

  /** Reads blocks, or waits for those who do. Rejects with the error of `read` or `check`. */
  bring(read: ColdRead<Body>): Promise<void> {
    const other = this.#windows.find(
      ({ reading, left, read: under }) =>
        reading !== undefined && under?.body === read.body && left.has(read.firstBlock),
    );
    if (other?.reading !== undefined) return other.reading;
    return this.#readInTurn(read);
  }

  /** A block that has been brought. */
  find(body: Body, block: number): Uint8Array | undefined {
    const window = this.#holding(body, block);
    if (window?.read === undefined) return undefined;
    const from = (block - window.read.firstBlock) * BLOCK_BYTES;
    return window.buffer.subarray(from, Math.min(from + BLOCK_BYTES, window.read.bytes));
  }

  /** Who wanted this block has it. */
  taken(body: Body, block: number): void {
    const window = this.#holding(body, block);
    if (window === undefined) return;
    window.left.delete(block);
    if (window.left.size === 0) window.read = undefined;
  }

  /** Nobody wants anything of it any more. Nothing of it is being read. */
  forget(body: Body): void {
    for (const window of this.#windows) if (window.read?.body === body) empty(window);
  }

  /** Begins no read any more; resolves when those that are under way are over: a thread must not end before. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#windows.map(({ reading }) => reading));
  }

  #holding(body: Body, block: number): Window<Body> | undefined {
    return this.#windows.find(
      ({ read, reading, left }) => reading === undefined && read?.body === body && left.has(block),
    );
  }

  async #readInTurn(read: ColdRead<Body>): Promise<void> {
    if (this.#reading >= READING_MAX) await new Promise<void>((resolve) => this.#queue.push(resolve));
    else this.#reading++;
    try {
      if (!this.#isClosed && read.isWanted()) await this.#read(read, this.#freeWindow());
    } finally {
      const next = this.#queue.shift();
      if (next === undefined) this.#reading--;
      else next();
    }
  }

  async #read(read: ColdRead<Body>, window: Window<Body>): Promise<void> {
    const into = window.buffer.subarray(0, read.bytes);
    for (let block = 0; block * BLOCK_BYTES < read.bytes; block++) window.left.add(read.firstBlock + block);
    window.read = read;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    window.reading = promise;
    try {
      const count = await this.#files.readLater(read.fildes, into, read.firstBlock * BLOCK_BYTES);
      read.check(into.subarray(0, count));
      window.reading = undefined;
      resolve();
    } catch (error) {
      empty(window);
      reject(error);
    }
    return promise;
  }

  #freeWindow(): Window<Body> {
    const idle = this.#windows.filter(({ reading }) => reading === undefined);
    let window = idle.find(({ read }) => read === undefined);
    if (window === undefined && this.#windows.length >= WINDOWS) window = idle[0];
    if (window === undefined) {
      const buffer = new Uint8Array(new ArrayBuffer(BLOCKS_AT_ONCE * BLOCK_BYTES));
      window = { buffer, read: undefined, reading: undefined, left: new Set() };
    } else this.#windows.splice(this.#windows.indexOf(window), 1);
    empty(window);
    this.#windows.push(window);
    return window;
  }
}

function empty(window: Window<unknown>): void {
  window.read = undefined;
  window.reading = undefined;
  window.left.clear();
}
