import type { Framing, ResponseHead } from "@proj/protocol";

/** Longer heads hold what differs from response to response. */
const HEAD_BYTES_MAX = 2048;

/** What was read from a head: all that the octets and the request's method decide. */
export interface ReadHead {
  /** It is not changed any more, by anybody. */
  readonly head: ResponseHead;
  readonly framing: Framing;
  /** How long its connection may be kept without use; 0: it carries no other exchange; undefined: nothing is said of it. */
  readonly keepAliveMs: number | undefined;
  /** There is no content, and the head announces some all the same, as it has to in answer to HEAD: it may come, whenever. */
  readonly mayBeFollowed: boolean;
}

/**
 * A final head that came before. Reading sees nothing but the octets and the request's method, so the same octets are the same head: an origin that gives
 * the same kind of response again, within the same second of its Date, is not read again, and what was made of the head can be found by it.
 */
export class FormerHead {
  readonly read: ReadHead;
  readonly #octets: Buffer;
  readonly #method: string;

  private constructor(octets: Buffer, method: string, read: ReadHead) {
    this.#octets = octets;
    this.#method = method;
    this.read = read;
  }

  /**
   * Undefined for a head that is too long to be kept.
   *
   * @param read What was read from `bytes[start..end)`, the answer to a request with `method`.
   */
  static of(read: ReadHead, method: string, bytes: Uint8Array, start: number, end: number): FormerHead | undefined {
    if (end - start > HEAD_BYTES_MAX) return undefined;
    const octets = Buffer.from(new ArrayBuffer(end - start));
    octets.set(bytes.subarray(start, end));
    return new FormerHead(octets, method, read);
  }

  /** Whether `bytes[0..end)`, an answer to a request with `method`, begins with it. */
  begins(method: string, bytes: Uint8Array, end: number): boolean {
    const { length } = this.#octets;
    return length <= end && this.#method === method && this.#octets.compare(bytes, 0, length) === 0;
  }
}
