import { type Fields, type Framing, type ResponseHead, writeLatin1 } from "@proj/protocol";
import { ByteQueue } from "./byte-queue.ts";
import { OriginError, type OriginFault } from "./errors.ts";
import type { PreparedRequest } from "./prepared-request.ts";
import { RequestContent } from "./request-content.ts";
import type { Member } from "./rotation.ts";

/** What to ask the origin. Hop-by-hop fields are the caller's to leave out; `Host` is added when absent. */
export interface OriginRequest {
  method: string;
  /** In origin-form (`/path?query`), or `*` with OPTIONS; sent byte for byte. */
  target: string;
  fields: Fields;
  /**
   * The request has content: it follows by {@link OriginExchange.write} and ends with {@link
   * OriginExchange.endContent}, and `fields` say how it is framed: by a `Content-Length` above 0, or by
   * `Transfer-Encoding: chunked`. Without it `fields` must not say so.
   */
  hasContent?: boolean;
  /**
   * `fields` offer another protocol by `Upgrade` (and `Connection: upgrade`). When the origin takes the offer, {@link OriginHandler.onSwitch} says so.
   * Not with content: what follows the head on the wire must be of one protocol only.
   */
  offersUpgrade?: boolean;
}

/**
 * Who an exchange reports to, on this thread's event loop and never before `send` has returned: `onInformational` any
 * number of times, `onHead` once, `onContent` any number of times, then `onEnd` once. `onError` may come instead of
 * any of them and is the last call; after an abort there is none. What a handler throws is not caught: it ends the
 * thread.
 */
export interface OriginHandler {
  /** More of the request's content may be written, after a `write` that said to wait. */
  onDrain?(): void;
  /** A 1xx response other than 101. */
  onInformational?(head: ResponseHead): void;
  /**
   * The origin switched protocols: its 101. From here on `onContent` brings octets of the other protocol, `write` sends such, `endContent` says
   * that there will be no more, and `onEnd` that the origin has closed.
   */
  onSwitch?(head: ResponseHead): void;
  /** The final response. `framing` is how its content ends: `none` for any answer to HEAD, 204 and 304. */
  onHead(head: ResponseHead, framing: Framing): void;
  /**
   * The next octets of the content, transfer coding removed. They are valid during the call only: the memory is
   * reused.
   */
  onContent(chunk: Uint8Array): void;
  /** The response is whole, by its framing. */
  onEnd(trailers: Fields | undefined): void;
  /** It is not, and never will be: what content has come must not be taken for all of it. */
  onError(error: OriginError): void;
}

/** One request on its way, and its response. Each call returns at once; after the last handler call they do nothing. */
export interface OriginExchange {
  /**
   * Stops reading from the connection, so that the origin stops sending once the kernel's buffers are full. What has
   * been read already is still handed out, at most one read (512 KiB): a call to `onEnd` may be among it.
   */
  pause(): void;
  resume(): void;
  /**
   * Hands over the next octets of the request's content. All of them are taken; what the kernel can not take yet is
   * copied.
   *
   * @returns Whether more may follow at once. If not, wait for `onDrain`: what is written before it costs memory.
   * @throws {RangeError} More octets than `Content-Length` announced, or the content was ended.
   */
  write(chunk: Uint8Array): boolean;
  /**
   * Ends the request's content. The response may have come before: then its connection carries no other request.
   *
   * @throws {RangeError} Fewer octets than `Content-Length` announced, or trailers with it.
   */
  endContent(trailers?: Fields): void;
  /** Gives the exchange up: no handler is called any more. Its connection is reset, others are not touched. */
  abort(): void;
}

/** What an exchange is on: the queue for a connection, or a connection. */
export interface Carrier {
  pause(): void;
  resume(): void;
  /** Sends the next octets of the request, or keeps them until that can be. Returns whether none are kept. */
  write(exchange: Exchange, bytes: Uint8Array): boolean;
  /** Half-closes the connection once what was written has left. */
  endTunnel(): void;
  drop(exchange: Exchange): void;
}

// RFC 9110 section 9.2.2. Others may be repeated only by who knows what they do.
const IDEMPOTENT_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);

/** Why an exchange failed on one origin. */
export interface ExchangeFailure {
  readonly fault: OriginFault;
  readonly reason: string;
  readonly headSeen: boolean;
  readonly cause: Error | undefined;
}

/** Who sends exchanges to one of several origins, and hears what comes of it: the client. */
export interface Dispatcher {
  /** The head of the final response is there, or that of a switch of protocols. */
  answered(exchange: Exchange): void;
  /** @returns Whether it is on its way to another origin: then it has not failed. */
  failed(exchange: Exchange, failure: ExchangeFailure): boolean;
  aborted(exchange: Exchange): void;
}

/** Where an exchange is sent, and what it is there: the head names the origin's host. */
export interface Attempt {
  readonly member: Member;
  /** It finds out whether an origin that failed is good again. */
  readonly isTrial: boolean;
  /** The request's head as it goes out: latin1, or octets that stay as they are. */
  readonly head: string | Uint8Array;
}

/** Where heads become octets, one after the other: the kernel takes them before the next. */
const scratch = new Uint8Array(new ArrayBuffer(16 * 1024));

function headBytes(head: string | Uint8Array): Uint8Array {
  if (typeof head !== "string") return head;
  if (head.length > scratch.length) return Buffer.from(head, "latin1");
  writeLatin1(scratch, head, 0);
  return scratch.subarray(0, head.length);
}

/** An {@link OriginExchange} as pool and connections see it. */
export class Exchange implements OriginExchange {
  readonly prepared: PreparedRequest;
  /** The tick until which it waits for a connection; see {@link Deadlines}. */
  queueDeadline = 0;
  /** It was sent once, on a reused connection that turned out to be closed: the second time it gets one of its own. */
  isRetry = false;
  isPaused = false;
  readonly #dispatcher: Dispatcher;
  readonly #handler: OriginHandler;
  #attempt: Attempt | undefined;
  /** The origins that it was sent to in vain. */
  #tried: Set<Member> | undefined;
  /** Octets of it may have reached an origin. */
  #wasSent = false;
  #informationalSeen = false;
  readonly #content: RequestContent | undefined;
  /** Content that was written while there was no connection. */
  #early: ByteQueue | undefined;
  #needsDrain = false;
  #isTunnel = false;
  #carrier: Carrier | undefined;

  constructor(prepared: PreparedRequest, handler: OriginHandler, dispatcher: Dispatcher) {
    this.prepared = prepared;
    this.#content = prepared.framing === undefined ? undefined : new RequestContent(prepared.framing);
    this.#handler = handler;
    this.#dispatcher = dispatcher;
  }

  get method(): string {
    return this.prepared.request.method;
  }

  get offersUpgrade(): boolean {
    return this.prepared.request.offersUpgrade === true;
  }

  get attempt(): Attempt | undefined {
    return this.#attempt;
  }

  get tried(): ReadonlySet<Member> {
    return this.#tried ?? NO_MEMBERS;
  }

  /** From here on it is on its way to this origin. */
  begin(attempt: Attempt): void {
    this.#attempt = attempt;
    this.isRetry = false;
  }

  /** It will not be sent to that origin again. */
  leave({ member }: Attempt): void {
    this.#tried ??= new Set();
    this.#tried.add(member);
  }

  /**
   * Whether another origin may be sent it after this one has failed it: nobody has heard anything of an answer, and it either has not left yet or may be
   * repeated.
   */
  get mayMoveOn(): boolean {
    return !this.#informationalSeen && (!this.#wasSent || this.#isRepeatable);
  }

  /**
   * Whether RFC 9110 section 9.2.2 allows to send it again, when no part of an answer was seen, and whether that can
   * be done: content is gone once it was sent. A failed retry is not retried.
   */
  get mayBeRetried(): boolean {
    return !this.isRetry && this.#isRepeatable;
  }

  get #isRepeatable(): boolean {
    return this.#content === undefined && IDEMPOTENT_METHODS.has(this.method);
  }

  /** Whether the caller has handed over all of the request. */
  get isRequestWhole(): boolean {
    return this.#content === undefined || this.#content.isEnded;
  }

  /** What has to be sent first on a connection: the head, and content that came before there was one. Valid until the next call on any exchange. */
  takeUnsent(): Uint8Array {
    const head = headBytes(this.#attempt!.head);
    const early = this.#early;
    this.#early = undefined;
    this.#wasSent = true;
    return early === undefined ? head : Buffer.concat([head, early.bytes.subarray(0, early.length)]);
  }

  /** Keeps octets of the request until there is a connection. */
  keepEarly(bytes: Uint8Array): void {
    this.#early ??= new ByteQueue();
    this.#early.append(bytes, 0, bytes.length);
  }

  write(chunk: Uint8Array): boolean {
    if (this.#isTunnel) return this.#writeRaw(chunk);
    if (this.#content === undefined)
      throw new RangeError(`Cannot send content with ${this.#subject}: it was sent without`);
    if (this.#carrier === undefined || chunk.length === 0) return !this.#needsDrain;
    const { before, after } = this.#content.around(chunk.length);
    const octets = before === "" ? chunk : Buffer.concat([Buffer.from(before), chunk, Buffer.from(after)]);
    this.#needsDrain = !this.#carrier.write(this, octets);
    return !this.#needsDrain;
  }

  endContent(trailers?: Fields): void {
    if (this.#isTunnel) {
      this.#carrier?.endTunnel();
      return;
    }
    if (this.#content === undefined)
      throw new RangeError(`Cannot end the content of ${this.#subject}: it was sent without`);
    if (this.#carrier === undefined) return;
    const octets = this.#content.end(trailers);
    if (octets !== "") this.#carrier.write(this, Buffer.from(octets, "latin1"));
  }

  /** What was written has left. */
  drained(): void {
    if (!this.#needsDrain) return;
    this.#needsDrain = false;
    if (this.#isTunnel || !this.isRequestWhole) this.#handler.onDrain?.();
  }

  informational(head: ResponseHead): void {
    this.#informationalSeen = true;
    this.#handler.onInformational?.(head);
  }

  responded(head: ResponseHead, framing: Framing): void {
    this.#dispatcher.answered(this);
    this.#handler.onHead(head, framing);
  }

  brought(chunk: Uint8Array): void {
    this.#handler.onContent(chunk);
  }

  /** The origin has switched protocols: what is written from here on goes out as it is. */
  switched(head: ResponseHead): void {
    this.#isTunnel = true;
    this.#dispatcher.answered(this);
    this.#handler.onSwitch?.(head);
  }

  #writeRaw(chunk: Uint8Array): boolean {
    if (this.#carrier === undefined || chunk.length === 0) return !this.#needsDrain;
    this.#needsDrain = !this.#carrier.write(this, chunk);
    return !this.#needsDrain;
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
    if (carrier === undefined) return;
    this.#carrier = undefined;
    carrier.drop(this);
    this.#dispatcher.aborted(this);
  }

  end(trailers: Fields | undefined): void {
    this.#carrier = undefined;
    this.#handler.onEnd(trailers);
  }

  /** The origin that it was sent to has failed it: it goes to another, or has failed. */
  fail(failure: ExchangeFailure): void {
    this.#carrier = undefined;
    if (this.#dispatcher.failed(this, failure)) return;
    const { fault, reason, headSeen, cause } = failure;
    this.#handler.onError(new OriginError(fault, `Cannot ${this.#subject}: ${reason}`, { headSeen, cause }));
  }

  /** For messages. */
  get #subject(): string {
    const { method, target } = this.prepared.request;
    return `${method} ${this.#attempt?.member.url.origin ?? ""}${target}`;
  }
}

const NO_MEMBERS: ReadonlySet<Member> = new Set();
