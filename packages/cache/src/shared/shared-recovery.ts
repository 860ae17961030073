import type { OriginHandler } from "@proj/origin";
import type { ByteRange, Framing, ResponseHead } from "@proj/protocol";
import { CHUNK_BYTES, type Entry, isChunk } from "@proj/shared-tier";
import { partOf, type SharedReader } from "./shared-read.ts";

/**
 * The rest of a body of which the shared tier has lost a chunk while it was served: the origin is asked for the whole, and nothing of its answer goes on that is
 * not, by the checksums of the former, the very same body. `broken` is called when it is another one.
 */
export class SharedRecovery implements OriginHandler {
  readonly #entry: Entry;
  readonly #range: ByteRange;
  readonly #from: number;
  readonly #reader: SharedReader;
  readonly #chunk = new Uint8Array(new ArrayBuffer(CHUNK_BYTES));
  #chunkBytes = 0;
  #index = 0;
  #isOver = false;

  /**
   * @param from The first chunk that is wanted; those before it are only compared.
   */
  constructor(options: { entry: Entry; range: ByteRange; from: number; reader: SharedReader }) {
    this.#entry = options.entry;
    this.#range = options.range;
    this.#from = options.from;
    this.#reader = options.reader;
  }

  onHead(head: ResponseHead, framing: Framing): void {
    const isOther = framing.kind === "length" && framing.bytes !== this.#entry.bodyBytes;
    if (head.status !== 200 || isOther) this.#fail();
  }

  onContent(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length && !this.#isOver; ) {
      const wanted = Math.min(CHUNK_BYTES, this.#entry.bodyBytes - this.#index * CHUNK_BYTES);
      const piece = bytes.subarray(at, at + wanted - this.#chunkBytes);
      this.#chunk.set(piece, this.#chunkBytes);
      this.#chunkBytes += piece.length;
      at += piece.length;
      if (this.#chunkBytes === wanted) this.#chunkDone(this.#chunk.subarray(0, wanted));
    }
  }

  onEnd(): void {
    if (!this.#isOver) this.#fail();
  }

  onError(): void {
    if (!this.#isOver) this.#fail();
  }

  #chunkDone(chunk: Uint8Array): void {
    const index = this.#index++;
    this.#chunkBytes = 0;
    if (!isChunk(this.#entry, index, chunk)) return this.#fail();
    if (index >= this.#from) this.#reader.take(partOf(chunk, index, this.#range));
    if (this.#index * CHUNK_BYTES < this.#range.end) return;
    this.#isOver = true;
    this.#reader.end();
  }

  #fail(): void {
    this.#isOver = true;
    this.#reader.broken(this.#index);
  }
}
