import { checksum } from "./checksum.ts";
import { BLOCK_BYTES, blocksOf } from "./entry-tail.ts";

const NOTHING = new Uint8Array(0);

/** The checksums of a body's blocks, made as it arrives; with the bytes of the block that is not complete yet, which has none. */
export class BlockSums {
  #sums: bigint[] | BigUint64Array;
  #bytes: number;
  #pending: Uint8Array | undefined;

  private constructor(sums: bigint[] | BigUint64Array, bytes: number) {
    this.#sums = sums;
    this.#bytes = bytes;
  }

  /** Of a body of which nothing is there. */
  static empty(): BlockSums {
    return new BlockSums([], 0);
  }

  /** @param sums Of all blocks of a body of so many bytes. */
  static of(sums: BigUint64Array, bytes: number): BlockSums {
    return new BlockSums(sums, bytes);
  }

  /** Bytes of the body. */
  get bytes(): number {
    return this.#bytes;
  }

  /** So many of them, from the first, are in blocks that have a checksum: all, once the body is complete. */
  get checkedBytes(): number {
    return this.#sums instanceof BigUint64Array ? this.#bytes : this.#sums.length * BLOCK_BYTES;
  }

  /** `chunk` comes behind what is there. */
  add(chunk: Uint8Array): void {
    const sums = this.#sums as bigint[];
    for (let from = 0; from < chunk.length; ) {
      const inBlock = this.#bytes % BLOCK_BYTES;
      const count = Math.min(chunk.length - from, BLOCK_BYTES - inBlock);
      const piece = chunk.subarray(from, from + count);
      from += count;
      this.#bytes += count;
      if (count === BLOCK_BYTES) {
        sums.push(checksum(piece));
        continue;
      }
      const pending = this.#roomFor(inBlock + count);
      pending.set(piece, inBlock);
      if (inBlock + count === BLOCK_BYTES) sums.push(checksum(pending));
    }
  }

  /** Nothing more comes. */
  complete(): void {
    this.#sums = this.all();
    this.#pending = undefined;
  }

  /** Of all blocks, the last one as far as it is there. */
  all(): BigUint64Array {
    if (this.#sums instanceof BigUint64Array) return this.#sums;
    const rest = this.#bytes % BLOCK_BYTES;
    const sums = new BigUint64Array(blocksOf(this.#bytes));
    this.#sums.forEach((sum, index) => {
      sums[index] = sum;
    });
    if (rest > 0) sums[sums.length - 1] = checksum(this.#pending!.subarray(0, rest));
    return sums;
  }

  /** Whether these are the bytes of a block that has a checksum. */
  fits(index: number, bytes: Uint8Array): boolean {
    return checksum(bytes) === this.#sums[index];
  }

  /** The bytes of the block that is not complete yet, which is the last one of the body: good until the next call of {@link add}. */
  get pending(): Uint8Array {
    return this.#pending?.subarray(0, this.#bytes % BLOCK_BYTES) ?? NOTHING;
  }

  /** Bytes of the block that is not complete, from `inBlock` on. */
  readPending(inBlock: number, into: Uint8Array): void {
    into.set(this.#pending!.subarray(inBlock, inBlock + into.length));
  }

  /** Room for so many bytes of a block, with those that are there: most bodies end long before the first one is full. */
  #roomFor(bytes: number): Uint8Array {
    const pending = this.#pending ?? NOTHING;
    if (pending.length >= bytes) return pending;
    const grown = new Uint8Array(Math.min(BLOCK_BYTES, Math.max(bytes, 2 * pending.length)));
    grown.set(pending);
    this.#pending = grown;
    return grown;
  }
}
