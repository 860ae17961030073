import { latin1, type RequestHead } from "@proj/protocol";

/** A request that was parsed, checked and routed before, and answered from the hot tier. */
export interface KnownRequest {
  readonly head: RequestHead;
  readonly keepsAlive: boolean;
  /** What the hot tier knows its response by. */
  readonly hotKey: string;
}

/** Longer heads hold what differs from client to client, so they rarely come again. */
const HEAD_BYTES_MAX = 1024;
const REQUESTS_MAX = 1024;

/**
 * Heads that one thread has answered from its hot tier, by their octets. Parsing, checking and routing see nothing but the octets, so the same octets are the
 * same request: whoever asks for what is hot, with the head that its kind of client always sends, is recognised instead of being parsed anew (90 ns instead
 * of 600). What was kept first is forgotten first; a head that is still in use is parsed once more and kept again.
 */
export class RequestMemo {
  readonly #requests = new Map<string, KnownRequest>();

  get count(): number {
    return this.#requests.size;
  }

  /** The request whose head is all of `bytes`. */
  get(bytes: Uint8Array): KnownRequest | undefined {
    if (bytes.length > HEAD_BYTES_MAX) return undefined;
    return this.#requests.get(latin1(bytes, 0, bytes.length));
  }

  /** `bytes` are its head, and nothing else. */
  keep(bytes: Uint8Array, request: KnownRequest): void {
    if (bytes.length > HEAD_BYTES_MAX) return;
    if (this.#requests.size >= REQUESTS_MAX) {
      for (const [first] of this.#requests) {
        this.#requests.delete(first);
        break;
      }
    }
    this.#requests.set(latin1(bytes, 0, bytes.length), request);
  }
}
