import { type StreamHandler, StreamSocket } from "@proj/ipc";
import {
  BodyDecoder,
  type Fields,
  type Framing,
  HeadScanner,
  keepsAlive,
  type Malformed,
  parseResponseHead,
  type ResponseHead,
  responseFraming,
} from "@proj/protocol";
import type { Socket, SocketHandler, TLSOptions } from "bun";
import { ByteQueue } from "./byte-queue.ts";
import { type ClosedOutcome, type Connection, type ConnectionEvent, step } from "./connection.ts";
import { connectFault, type OriginFault, responseFault, tlsFault } from "./errors.ts";
import type { Carrier, Exchange } from "./exchange.ts";
import { FormerHead, type ReadHead } from "./former-head.ts";
import { REST_MS } from "./limits.ts";
import type { Deadlines, OriginTimeouts } from "./timeouts.ts";

/** Where to connect to. `tls` present means: speak TLS. */
export interface OriginAddress {
  hostname: string;
  port: number;
  tls?: TLSOptions;
}

/** Who a socket reports to: the pool. */
export interface SocketOwner {
  readonly deadlines: Deadlines;
  readonly timeouts: OriginTimeouts;
  /** The head that came last, on any connection. */
  formerHead: FormerHead | undefined;
  /** It is idle and may be given an exchange. */
  ready(socket: OriginSocket): void;
  /** It will not be used any more. `exchange` was on it and has not been told. */
  closed(socket: OriginSocket, outcome: ClosedOutcome, exchange: Exchange | undefined, cause: Error | undefined): void;
  /** It is a tunnel from here on. */
  tunnelled(socket: OriginSocket): void;
  /** The kernel has given up a connection attempt that this side gave up before. */
  forgotten(): void;
}

/** Drives one {@link Connection}: does the I/O that its phases ask for, one exchange at a time. */
export class OriginSocket implements Carrier, StreamHandler {
  /** The tick at which whatever is under way has taken too long; `undefined`: nothing is waited for. */
  deadline: number | undefined;
  /** How long it may be kept without use: less than the pool would, when the origin said so. */
  keepAliveMs: number;
  readonly #owner: SocketOwner;
  readonly #isTls: boolean;
  readonly #begunMs = performance.now();
  #connection: Connection = { phase: "connecting" };
  /** Bun's with TLS, ours without. */
  #socket: Socket<OriginSocket | undefined> | StreamSocket | undefined;
  /** The connection attempt has ended, in a connection or without. */
  #isSettled = false;
  #exchange: Exchange | undefined;
  /** What the kernel has not taken yet of the request. */
  readonly #unsent = new ByteQueue();
  #restTimer: Timer | undefined;
  /** See {@link ReadHead.mayBeFollowed}; of the last head. */
  #mayBeFollowed = false;
  readonly #scanner = new HeadScanner();
  /** The head that came last. */
  #former: FormerHead | undefined;
  readonly #kept = new ByteQueue();
  #decoder: BodyDecoder | undefined;
  #reading: Uint8Array = EMPTY;
  /** Nothing more will be written into the tunnel: half-closed once all has left. */
  #endsTunnel = false;

  constructor(address: OriginAddress, owner: SocketOwner) {
    this.#owner = owner;
    this.#isTls = address.tls !== undefined;
    this.keepAliveMs = owner.timeouts.keepAliveMs;
    this.deadline = owner.deadlines.after(owner.timeouts.connectMs);
    // In an executor, so that what connect() throws outright is reported later too, like what it rejects with.
    new Promise((resolve) => {
      resolve(Bun.connect<OriginSocket | undefined>({ ...address, data: this, socket: HANDLERS }));
    }).catch((error: Error) => this.refused(error));
  }

  /** Whether it was made just now, so that it can not be one the origin tired of. */
  get isFresh(): boolean {
    return "isFresh" in this.#connection && this.#connection.isFresh;
  }

  /** Whether the kernel may be trying to connect even after this side gave it up: that can not be called off. */
  get isHalfMade(): boolean {
    return !this.#isSettled;
  }

  /** Sends the exchange's request. Only while idle. */
  start(exchange: Exchange): void {
    this.#exchange = exchange;
    exchange.moveTo(this);
    this.deadline = undefined; // that of a connection nobody uses
    this.#advance(REQUEST_SENT);
    if (exchange.isPaused) this.#socket?.pause();
    if (this.write(exchange, exchange.takeUnsent())) exchange.drained();
  }

  /** Nobody wants it just now: it is kept until `deadline`, and may be closed by the origin from here on. */
  park(deadline: number): void {
    this.#advance(PARKED);
    this.deadline = deadline;
  }

  pause(): void {
    this.deadline = undefined;
    this.#socket?.pause();
  }

  resume(): void {
    const { headMs, idleMs } = this.#owner.timeouts;
    if (this.#connection.phase !== "tunnelling")
      this.#waitFor(this.#connection.phase === "reading-content" ? idleMs : headMs);
    this.#socket?.resume();
  }

  drop(_exchange: Exchange): void {
    this.#exchange = undefined;
    this.abandon();
  }

  /** Closes it at once; an exchange on it is the caller's to tell. */
  abandon(): void {
    if (this.#connection.phase !== "closed") this.#advance({ type: "abandoned" });
  }

  /** Closes it at once; an exchange on it fails for `reason`. */
  shutDown(reason: string): void {
    if (this.#exchange === undefined) this.abandon();
    else this.#fail("cancelled", reason);
  }

  timeOut(): void {
    if (this.#connection.phase !== "closed") this.#advance({ type: "timed-out" });
  }

  opened(socket: Socket<OriginSocket | undefined>): void {
    this.#isSettled = true;
    if (this.#connection.phase === "closed") {
      socket.terminate();
      this.#owner.forgotten();
      return;
    }
    if (this.#isTls) {
      this.#socket = socket;
      return;
    }
    socket.data = undefined;
    try {
      this.#socket = StreamSocket.takeOver(socket, this);
    } catch (error) {
      socket.terminate();
      this.#fail("origin-error", "no descriptor for a connection to the origin: raise ulimit -n", error as Error);
      return;
    }
    this.#connected();
  }

  secured(isAuthorized: boolean, error: Error | null): void {
    if (this.#connection.phase !== "connecting" || !this.#isTls) return;
    if (isAuthorized && error === null) {
      this.#connected();
      return;
    }
    this.#fail(
      tlsFault(error),
      `no TLS session with the origin (${error?.message ?? "not authorized"})`,
      error ?? undefined,
    );
  }

  refused(error: Error): void {
    if (this.#isSettled) return; // it was open: its end is reported as a close
    this.#isSettled = true;
    if (this.#connection.phase === "closed") {
      this.#owner.forgotten();
      return;
    }
    this.#fail(
      connectFault(error, performance.now() - this.#begunMs),
      "no connection to the origin: check that it runs and can be reached from here",
      error,
    );
  }

  halfClosed(): void {
    this.#peerClosed("end");
  }

  /** Once this side is half-closed, the peer's end is told as this alone. */
  closed(error?: Error): void {
    this.#peerClosed(this.#endsTunnel && error === undefined ? "end" : "reset", error);
  }

  /** Bun is not asked to tell time-outs: {@link deadline} is what counts. */
  timedOut(): void {}

  #peerClosed(how: "end" | "reset", error?: Error): void {
    if (this.#connection.phase === "closed") return;
    this.#advance({ type: "peer-closed", how, isTls: this.#isTls }, error);
  }

  write(exchange: Exchange, bytes: Uint8Array): boolean {
    const taken = this.#unsent.length === 0 ? this.#hand(bytes) : 0;
    if (taken < bytes.length) this.#unsent.append(bytes, taken, bytes.length);
    this.#requestMoved(exchange);
    return this.#unsent.length === 0;
  }

  drained(): void {
    const exchange = this.#exchange;
    if (exchange === undefined || this.#unsent.length === 0) return;
    this.#unsent.dropFirst(this.#hand(this.#unsent.bytes.subarray(0, this.#unsent.length)));
    this.#requestMoved(exchange);
    if (this.#unsent.length > 0) return;
    if (this.#endsTunnel) this.#socket?.shutdown();
    exchange.drained();
  }

  endTunnel(): void {
    this.#endsTunnel = true;
    if (this.#unsent.length === 0) this.#socket?.shutdown();
  }

  /** @returns How many octets the kernel took. */
  #hand(bytes: Uint8Array): number {
    // -1 when the socket is closed already: then its close event is what counts, and it is on its way.
    return Math.max(0, this.#socket?.write(bytes) ?? 0);
  }

  /** The time for the response's head runs from the last octets of the request. */
  #requestMoved(exchange: Exchange): void {
    const { phase } = this.#connection;
    const isAwaited = phase !== "reading-content" && phase !== "tunnelling";
    if (!exchange.isPaused && isAwaited) this.#waitFor(this.#owner.timeouts.headMs);
  }

  /** The next read. `chunk` is not kept: its memory is reused. */
  received(chunk: Uint8Array): void {
    if (this.#connection.phase === "closed") return;
    this.#advance(BYTES);
    if (this.#connection.phase === "tunnelling") {
      this.#exchange?.brought(chunk);
    } else if (this.#connection.phase === "reading-content") {
      if (this.#exchange?.isPaused === false) this.#waitFor(this.#owner.timeouts.idleMs);
      this.#decode(this.#decoder!, chunk, 0, chunk.length);
    } else if (this.#connection.phase === "reading-head") {
      if (this.#kept.length === 0) {
        this.#takeHeads(chunk, chunk.length);
        return;
      }
      this.#kept.append(chunk, 0, chunk.length);
      this.#takeHeads(this.#kept.bytes, this.#kept.length);
    }
  }

  /** Any number of informational heads, the final one, and what content follows it, from `bytes[0..end)`. */
  #takeHeads(bytes: Uint8Array, end: number): void {
    const exchange = this.#exchange;
    let at = 0;
    // Of a head that came in pieces the scanner has seen some: it goes on.
    const former =
      exchange === undefined || bytes === this.#kept.bytes ? undefined : this.#formerAt(exchange.method, bytes, end);
    if (former !== undefined) {
      this.#startContent(exchange!, former);
      if (exchange === this.#exchange) this.#takeContent(former.framing, bytes, former.head.headBytes, end);
      return;
    }
    while (exchange !== undefined && exchange === this.#exchange) {
      const headEnd = this.#scanner.scan(bytes, at, end);
      if (headEnd === undefined) {
        this.#keep(bytes, at, end);
        return;
      }
      if (typeof headEnd === "object") {
        this.#refuse(headEnd);
        return;
      }
      const head = parseResponseHead(bytes, at, headEnd);
      if (head.kind === "malformed") {
        this.#refuse(head);
        return;
      }
      at = headEnd;
      if (head.status === 101) {
        this.#takeSwitch(exchange, head);
        if (exchange === this.#exchange && at < end) exchange.brought(bytes.subarray(at, end));
        this.#kept.clear();
        return;
      }
      if (head.status < 200) {
        this.#takeInformational(exchange, head);
      } else {
        const read = this.#read(exchange.method, head);
        if (read === undefined) return;
        this.#former = FormerHead.of(read, exchange.method, bytes, at - head.headBytes, at);
        this.#owner.formerHead = this.#former;
        this.#startContent(exchange, read);
        if (exchange === this.#exchange) this.#takeContent(read.framing, bytes, at, end);
        return;
      }
    }
  }

  #keep(bytes: Uint8Array, start: number, end: number): void {
    if (bytes === this.#kept.bytes) this.#kept.dropFirst(start);
    else this.#kept.append(bytes, start, end);
  }

  /** RFC 9110 sections 15.2.2 and 7.8: only to a request with Upgrade, and only to what it offered. */
  #takeSwitch(exchange: Exchange, head: ResponseHead): void {
    if (!exchange.offersUpgrade) {
      this.#fail("origin-malformed", "the origin switched protocols without having been asked to");
      return;
    }
    this.#advance({ type: "switched" });
    this.deadline = undefined;
    this.#owner.tunnelled(this);
    exchange.switched(head);
  }

  #takeInformational(exchange: Exchange, head: ResponseHead): void {
    this.#advance({ type: "informational-head" });
    if (exchange === this.#exchange) exchange.informational(head);
  }

  /** What the octets say, when they begin with a head that came before. */
  #formerAt(method: string, bytes: Uint8Array, end: number): ReadHead | undefined {
    if (this.#former?.begins(method, bytes, end)) return this.#former.read;
    const { formerHead } = this.#owner;
    if (formerHead === this.#former || formerHead?.begins(method, bytes, end) !== true) return undefined;
    this.#former = formerHead;
    return formerHead.read;
  }

  /** Undefined when it was refused. */
  #read(method: string, head: ResponseHead): ReadHead | undefined {
    const framing = responseFraming(method, head);
    if (framing.kind === "malformed") {
      this.#refuse(framing);
      return undefined;
    }
    const mayBeFollowed = framing.kind === "none" && announcesContent(head);
    return { head, framing, keepAliveMs: mayBeFollowed ? 0 : this.#keptMs(head, framing), mayBeFollowed };
  }

  #startContent(exchange: Exchange, { head, framing, keepAliveMs, mayBeFollowed }: ReadHead): void {
    this.#mayBeFollowed = mayBeFollowed;
    if (keepAliveMs !== undefined) this.keepAliveMs = keepAliveMs;
    this.#advance({ type: "final-head", framing: framing.kind, keepsAlive: keepAliveMs !== 0 });
    if (!exchange.isPaused) this.#waitFor(this.#owner.timeouts.idleMs);
    exchange.responded(head, framing);
  }

  /** See {@link ReadHead.keepAliveMs}. */
  #keptMs(head: ResponseHead, framing: Framing): number | undefined {
    if (framing.kind === "until-close" || !keepsAlive(head)) return 0;
    const seconds = /(?:^|[\s,;])timeout=(\d{1,6})/i.exec(head.fields.get("keep-alive") ?? "")?.[1];
    if (seconds === undefined) return undefined;
    // A second less than the origin says, since its clock started earlier than ours.
    return Math.max(0, Math.min(this.#owner.timeouts.keepAliveMs, Number(seconds) * 1000 - 1000));
  }

  /** The first octets behind a head: often all there is. */
  #takeContent(framing: Framing, bytes: Uint8Array, start: number, end: number): void {
    const length = framing.kind === "length" ? framing.bytes : framing.kind === "none" ? 0 : undefined;
    if (length === undefined || length > end - start) {
      this.#decoder = new BodyDecoder(framing);
      return this.#decode(this.#decoder, bytes, start, end);
    }
    if (length > 0) this.#exchange?.brought(bytes.subarray(start, start + length));
    if (this.#exchange !== undefined) this.#finish(undefined, start + length === end);
  }

  #decode(decoder: BodyDecoder, bytes: Uint8Array, start: number, end: number): void {
    this.#reading = bytes;
    const taken = decoder.push(bytes, start, end, this.#onContent);
    this.#reading = EMPTY;
    if (this.#exchange === undefined) return; // aborted by its handler
    if (typeof taken === "object") {
      this.#refuse(taken);
      return;
    }
    if (decoder.done) {
      this.#finish(decoder.trailers, taken === end - start);
      return;
    }
    this.#kept.clear();
  }

  readonly #onContent = (from: number, to: number): void => {
    this.#exchange?.brought(this.#reading.subarray(from, to));
  };

  /** The connection is given back before the handler hears of the end: its next request may take it at once. */
  #finish(trailers: Fields | undefined, isLast: boolean): void {
    const exchange = this.#exchange!;
    const isClean = isLast && this.#unsent.length === 0 && exchange.isRequestWhole;
    this.#exchange = undefined;
    this.#decoder = undefined;
    this.#unsent.clear();
    this.#kept.clear();
    this.deadline = undefined;
    if (exchange.isPaused) this.#socket?.resume();
    this.#advance(isClean ? CLEANLY_COMPLETE : COMPLETE);
    if (this.#connection.phase === "idle") this.#owner.ready(this);
    else if (this.#connection.phase === "resting") this.#rest();
    exchange.end(trailers);
  }

  #rest(): void {
    this.#restTimer = setTimeout(() => {
      this.#advance({ type: "rested" });
      this.#owner.ready(this);
    }, REST_MS);
  }

  #connected(): void {
    this.deadline = undefined;
    this.#advance({ type: "connected" });
    this.#owner.ready(this);
  }

  #waitFor(ms: number): void {
    this.deadline = this.#owner.deadlines.after(ms);
  }

  #refuse(refused: Malformed): void {
    this.#fail(responseFault(refused), `the origin sent a malformed response (${refused.reason})`);
  }

  #fail(fault: OriginFault, reason: string, cause?: Error): void {
    this.#advance({ type: "failed", fault, reason }, cause);
  }

  #advance(event: ConnectionEvent, cause?: Error): void {
    this.#connection = step(this.#connection, event);
    if (this.#connection.phase === "closed") this.#close(this.#connection.outcome, cause);
  }

  #close(outcome: ClosedOutcome, cause: Error | undefined): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    this.#decoder = undefined;
    this.deadline = undefined;
    this.#kept.clear();
    this.#unsent.clear();
    clearTimeout(this.#restTimer);
    // In order when the response was taken to its end and the origin knows it; with a reset otherwise, so that it stops
    // sending at once, and no port is held up for a minute (TIME_WAIT) for each HEAD.
    if (outcome.kind === "finished" && !this.#mayBeFollowed) this.#socket?.end();
    else this.#socket?.terminate();
    this.#owner.closed(this, outcome, exchange, cause);
    if (outcome.kind === "finished") exchange?.end(undefined);
  }
}

/** RFC 9110 sections 8.6 and 9.3.2, RFC 9112 section 6.1: what GET would have had. */
function announcesContent({ fields }: ResponseHead): boolean {
  return fields.has("transfer-encoding") || /[1-9]/.test(fields.get("content-length") ?? "");
}

const EMPTY = new Uint8Array(0);
const REQUEST_SENT: ConnectionEvent = { type: "request-sent" };
const PARKED: ConnectionEvent = { type: "parked" };
const BYTES: ConnectionEvent = { type: "bytes" };
const COMPLETE: ConnectionEvent = { type: "content-complete", isClean: false };
const CLEANLY_COMPLETE: ConnectionEvent = { type: "content-complete", isClean: true };

// No `error` handler: what a handler of ours throws is our bug and has to end the thread; TLS failures come to
// `close` too. Nobody is told any more of a socket that was taken over.
const HANDLERS: SocketHandler<OriginSocket | undefined> = {
  open: (socket) => socket.data?.opened(socket),
  handshake: (socket, isAuthorized, error) => socket.data?.secured(isAuthorized, error),
  data: (socket, chunk) => socket.data?.received(chunk),
  drain: (socket) => socket.data?.drained(),
  end: (socket) => socket.data?.halfClosed(),
  close: (socket, error) => socket.data?.closed(error),
};
