import { BLOCK_BYTES } from "./entry-tail.ts";
import type { FileSystem } from "./file-system.ts";
import type { ReadTurns } from "./read-turns.ts";

/** A portion of 256 KiB touches so many blocks at most. */
export const BLOCKS_AT_ONCE = 5;
/** Blocks that have been read wait for who wanted them: the memory for it is so many times {@link BLOCKS_AT_ONCE} blocks. */
const WINDOWS = 16;

/** What of which body is read. */
export interface ColdRead<Body> {
  readonly body: Body;
  /** Gives the descriptor of its file. */
  readonly open: () => number | Promise<number>;
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
  readonly #turns: ReadTurns;

  constructor(files: FileSystem, turns: ReadTurns) {
    this.#files = files;
    this.#turns = turns;
  }

  /** Reads blocks, or waits for those who do. Rejects with the error of `read` or `check`. */
  bring(read: ColdRead<Body>): Promise<void> {
    const other = this.#windows.find(
      ({ reading, left, read: under }) =>
        reading !== undefined && under?.body === read.body && left.has(read.firstBlock),
    );
    if (other?.reading !== undefined) return other.reading;
    return this.#turns.take(async () => {
      if (read.isWanted()) await this.#read(read, this.#freeWindow());
    });
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

  #holding(body: Body, block: number): Window<Body> | undefined {
    return this.#windows.find(
      ({ read, reading, left }) => reading === undefined && read?.body === body && left.has(block),
    );
  }

  async #read(read: ColdRead<Body>, window: Window<Body>): Promise<void> {
    const into = window.buffer.subarray(0, read.bytes);
    for (let block = 0; block * BLOCK_BYTES < read.bytes; block++) window.left.add(read.firstBlock + block);
    window.read = read;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    window.reading = promise;
    try {
      const opening = read.open();
      const fildes = typeof opening === "number" ? opening : await opening;
      const count = await this.#files.readLater(fildes, into, read.firstBlock * BLOCK_BYTES);
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
