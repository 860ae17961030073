import { type BodyStore, DroppedBodyError } from "./body-store.ts";

/** Room in a tier: asked for as bodies grow, given back as they go. */
export interface Room {
  /** false: the limit would be passed even after evicting all that may go. */
  take(bytes: number): boolean;
  giveBack(bytes: number): void;
}

/** Large enough that a portion of the default segment crosses one border at most, small enough that the last block wastes little. */
const BLOCK_BYTES = 256 * 1024;
const FIRST_BLOCK_BYTES = 4 * 1024;

/** A body in memory: blocks of one size, so that a position is found by a division. */
export class BlockList implements BodyStore {
  readonly #room: Room;
  readonly #blockBytes: number;
  readonly #blocks: (Uint8Array | undefined)[] = [];
  #bytes = 0;
  #firstByte = 0;
  #holders = 1;
  #discarded = false;

  /** @param expectedBytes The body's length, when it is known: a small body is one block of just that size. */
  constructor(room: Room, expectedBytes?: number) {
    this.#room = room;
    this.#blockBytes = expectedBytes === undefined ? BLOCK_BYTES : Math.max(1, Math.min(expectedBytes, BLOCK_BYTES));
  }

  get bytes(): number {
    return this.#bytes;
  }

  get firstByte(): number {
    return this.#firstByte;
  }

  append(chunk: Uint8Array): boolean {
    if (!this.#allocate(this.#bytes + chunk.length)) return false;
    for (let from = 0; from < chunk.length; ) {
      const index = Math.floor(this.#bytes / this.#blockBytes);
      const inBlock = this.#bytes - index * this.#blockBytes;
      const count = Math.min(chunk.length - from, this.#blockBytes - inBlock);
      this.#blocks[index]!.set(
        from === 0 && count === chunk.length ? chunk : chunk.subarray(from, from + count),
        inBlock,
      );
      this.#bytes += count;
      from += count;
    }
    return true;
  }

  read(position: number, into: Uint8Array): number {
    if (position < this.#firstByte)
      throw new RangeError(`Cannot read byte ${position} of a body that begins at ${this.#firstByte}`);
    const end = Math.min(this.#bytes, position + into.length);
    let done = 0;
    while (position + done < end) {
      const index = Math.floor((position + done) / this.#blockBytes);
      const inBlock = position + done - index * this.#blockBytes;
      const count = Math.min(end - position - done, this.#blockBytes - inBlock);
      const block = this.#blocks[index];
      if (block === undefined) throw new DroppedBodyError();
      into.set(count === block.length ? block : block.subarray(inBlock, inBlock + count), done);
      done += count;
    }
    return done;
  }

  /** Drops whole blocks before `position`: for a body that passes through and is not kept. */
  dropBefore(position: number): void {
    const upTo = Math.floor(Math.min(position, this.#bytes) / this.#blockBytes);
    for (let index = Math.floor(this.#firstByte / this.#blockBytes); index < upTo; index++) this.#free(index);
    this.#firstByte = Math.max(this.#firstByte, upTo * this.#blockBytes);
  }

  get isHeld(): boolean {
    return this.#holders > 0;
  }

  retain(): void {
    this.#holders++;
  }

  release(): void {
    this.#holders--;
    this.#freeIfDone();
  }

  discard(): void {
    this.#discarded = true;
    this.#freeIfDone();
  }

  #freeIfDone(): void {
    if (this.#discarded && this.#holders <= 0)
      for (let index = 0; index < this.#blocks.length; index++) this.#free(index);
  }

  #free(index: number): void {
    const block = this.#blocks[index];
    if (block === undefined) return;
    this.#blocks[index] = undefined;
    this.#room.giveBack(allocationBytes(block.length));
  }

  /** Blocks for the first `bytes` bytes; false when there is no room for them. */
  #allocate(bytes: number): boolean {
    for (let index = Math.floor(this.#bytes / this.#blockBytes); index * this.#blockBytes < bytes; index++) {
      if (!this.#allocateBlock(index, Math.min(this.#blockBytes, bytes - index * this.#blockBytes))) return false;
    }
    return true;
  }

  /** The block at `index` with at least `bytes` bytes; a first block starts small and doubles, since most bodies are. */
  #allocateBlock(index: number, bytes: number): boolean {
    const block = this.#blocks[index];
    const had = block?.length ?? 0;
    if (had >= bytes) return true;
    let size = index > 0 ? this.#blockBytes : Math.min(this.#blockBytes, Math.max(had, FIRST_BLOCK_BYTES));
    while (size < bytes) size = Math.min(size * 2, this.#blockBytes);
    if (!this.#room.take(allocationBytes(size) - allocationBytes(had))) return false;
    const grown = new Uint8Array(size);
    if (block !== undefined) grown.set(block);
    this.#blocks[index] = grown;
    return true;
  }
}

/** What the allocator takes for so many bytes: its sizes are four to a doubling, so that 70,000 bytes are 81,920. */
function allocationBytes(bytes: number): number {
  if (bytes < 1024) return bytes;
  const step = 2 ** (Math.floor(Math.log2(bytes)) - 2);
  return Math.ceil(bytes / step) * step;
}
