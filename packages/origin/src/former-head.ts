import type { ResponseHead } from "@proj/protocol";

/** Longer heads hold what differs from response to response. */
const HEAD_BYTES_MAX = 2048;
const NONE = Buffer.alloc(0);

/**
 * The final head that came last on a connection. Parsing sees nothing but the octets, so the same octets are the same head: an origin that gives the same
 * kind of response again, within the same second of its Date, is not parsed again, and what was rendered of the head can be found by it.
 */
export class FormerHead {
  #octets: Buffer = NONE;
  #head: ResponseHead | undefined;

  /** The head that `bytes[0..end)` begins with, when it is this one. */
  at(bytes: Uint8Array, end: number): ResponseHead | undefined {
    const { length } = this.#octets;
    if (this.#head === undefined || length > end) return undefined;
    return this.#octets.compare(bytes, 0, length) === 0 ? this.#head : undefined;
  }

  /** `head` is what was read from `bytes[start..end)`. It is not changed any more, by anybody. */
  keep(head: ResponseHead, bytes: Uint8Array, start: number, end: number): void {
    this.#head = undefined;
    if (end - start > HEAD_BYTES_MAX) return;
    if (this.#octets.length !== end - start) this.#octets = Buffer.from(new ArrayBuffer(end - start));
    this.#octets.set(bytes.subarray(start, end));
    this.#head = head;
  }
}
