import type { ByteRange } from "@proj/protocol";
import { CHUNK_BYTES, type Entry, type SharedTier } from "@proj/shared-tier";

/** Who a read reports to, in this order; nobody after {@link SharedRead.abort}. */
export interface SharedReader {
  /** The next bytes of the range. */
  take(bytes: Uint8Array): void;
  /** All of it has come. */
  end(): void;
  /** The chunk with this index can not be had: what comes before it has come. */
  broken(index: number): void;
}

/** The bytes of a chunk that lie in `range`. */
export function partOf(chunk: Uint8Array, index: number, range: ByteRange): Uint8Array {
  const at = index * CHUNK_BYTES;
  return chunk.subarray(Math.max(0, range.start - at), Math.max(0, Math.min(chunk.length, range.end - at)));
}

/** A range of a body on its way from the shared tier: only its chunks, one ahead of who takes them. */
export class SharedRead {
  readonly #tier: SharedTier;
  readonly #entry: Entry;
  readonly #range: ByteRange;
  readonly #reader: SharedReader;
  #isAborted = false;
  #resumed: PromiseWithResolvers<void> | undefined;

  constructor(tier: SharedTier, entry: Entry, range: ByteRange, reader: SharedReader) {
    this.#tier = tier;
    this.#entry = entry;
    this.#range = range;
    this.#reader = reader;
  }

  /** Begins; the first chunk, which is here already, goes on before this returns. */
  start(first: Uint8Array | undefined): void {
    void this.#run(first);
  }

  pause(): void {
    this.#resumed ??= Promise.withResolvers<void>();
  }

  resume(): void {
    this.#resumed?.resolve();
    this.#resumed = undefined;
  }

  abort(): void {
    this.#isAborted = true;
    this.resume();
  }

  async #run(first: Uint8Array | undefined): Promise<void> {
    const { start, end } = this.#range;
    let chunk = first;
    for (let at = start; at < end; ) {
      const index = Math.floor(at / CHUNK_BYTES);
      const nextAt = (index + 1) * CHUNK_BYTES;
      if (chunk === undefined) return this.#reader.broken(index);
      const next = nextAt < end ? this.#tier.readChunk(this.#entry, index + 1) : undefined;
      this.#reader.take(partOf(chunk, index, this.#range));
      await this.#resumed?.promise;
      at = nextAt;
      if (next !== undefined) chunk = await next;
      if (this.#isAborted) return;
    }
    this.#reader.end();
  }
}
