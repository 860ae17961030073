import type { Fields, Framing, ResponseHead } from "@proj/protocol";
import { OriginError, type OriginErrorCode } from "./errors.ts";

/** What to ask the origin. Hop-by-hop fields are the caller's to leave out; `Host` is added when absent. */
export interface OriginRequest {
  method: string;
  /** In origin-form (`/path?query`), or `*` with OPTIONS; sent byte for byte. */
  target: string;
  fields: Fields;
}

/**
 * Who an exchange reports to, on this thread's event loop and never before `send` has returned: `onInformational` any number of
 * times, `onHead` once, `onContent` any number of times, then `onEnd` once. `onError` may come instead of any of them and is the last
 * call; after an abort there is none. What a handler throws is not caught: it ends the thread.
 */
export interface OriginHandler {
  /** A 1xx response other than 101. */
  onInformational?(head: ResponseHead): void;
  /** The final response. `framing` is how its content ends: `none` for any answer to HEAD, 204 and 304. */
  onHead(head: ResponseHead, framing: Framing): void;
  /** The next octets of the content, transfer coding removed. They are valid during the call only: the memory is reused. */
  onContent(chunk: Uint8Array): void;
  /** The response is whole, by its framing. */
  onEnd(trailers: Fields | undefined): void;
  /** It is not, and never will be: what content has come must not be taken for all of it. */
  onError(error: OriginError): void;
}

/** One request on its way, and its response. Each call returns at once; after the last handler call they do nothing. */
export interface OriginExchange {
  /**
   * Stops reading from the connection, so that the origin stops sending once the kernel's buffers are full. What has been read
   * already is still handed out, at most one read (512 KiB): a call to `onEnd` may be among it.
   */
  pause(): void;
  resume(): void;
  /** Gives the exchange up: no handler is called any more. Its connection is reset, others are not touched. */
  abort(): void;
}

/** What an exchange is on: the queue for a connection, or a connection. */
export interface Carrier {
  pause(): void;
  resume(): void;
  drop(exchange: Exchange): void;
}

// RFC 9110 section 9.2.2. Others may be repeated only by who knows what they do.
const IDEMPOTENT_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);

/** An {@link OriginExchange} as pool and connections see it. */
export class Exchange implements OriginExchange {
  readonly handler: OriginHandler;
  readonly method: string;
  /** The request's head as it goes out, latin1. */
  readonly head: string;
  readonly #subject: string;
  /** The tick until which it waits for a connection; see {@link Deadlines}. */
  queueDeadline = 0;
  /** It was sent once, on a reused connection that turned out to be closed: the second time it gets one of its own. */
  isRetry = false;
  isPaused = false;
  #carrier: Carrier | undefined;

  constructor(request: OriginRequest, head: string, origin: string, handler: OriginHandler) {
    this.handler = handler;
    this.method = request.method;
    this.head = head;
    this.#subject = `${request.method} ${origin}${request.target}`;
  }

  /** Whether RFC 9110 section 9.2.2 allows to send it again, when no part of an answer was seen. A failed retry is not retried. */
  get mayBeRetried(): boolean {
    return !this.isRetry && IDEMPOTENT_METHODS.has(this.method);
  }

  /** Whether it ended, failed or was aborted. */
  get isOver(): boolean {
    return this.#carrier === undefined;
  }

  moveTo(carrier: Carrier): void {
    this.#carrier = carrier;
  }

  pause(): void {
    if (this.#carrier === undefined || this.isPaused) return;
    this.isPaused = true;
    this.#carrier.pause();
  }

  resume(): void {
    if (this.#carrier === undefined || !this.isPaused) return;
    this.isPaused = false;
    this.#carrier.resume();
  }

  abort(): void {
    const carrier = this.#carrier;
    this.#carrier = undefined;
    carrier?.drop(this);
  }

  end(trailers: Fields | undefined): void {
    this.#carrier = undefined;
    this.handler.onEnd(trailers);
  }

  fail(code: OriginErrorCode, reason: string, headSeen: boolean, cause?: Error): void {
    this.#carrier = undefined;
    this.handler.onError(new OriginError(code, `Cannot ${this.#subject}: ${reason}`, { headSeen, cause }));
  }
}
