import { ERRNO, SystemCallError } from "../errno.ts";
import { errno, libc } from "../libc.ts";
import { sameSocket } from "../listening-socket.ts";
import { EPOLL, EventLoop, type Watcher } from "./event-loop.ts";
import { hostOf } from "./peer-address.ts";

const MSG_NOSIGNAL = 0x4000;
const SHUT_WR = 1;
const SOL_SOCKET = 1;
const SO_ERROR = 4;
const SO_LINGER = 13;

/** Everything that can happen, told once each time it begins (EPOLLET): a socket is never told to the kernel again. */
const EVENTS = EPOLL.IN | EPOLL.PRI | EPOLL.OUT | EPOLL.RDHUP | EPOLL.ET;
/** A short read is not the last then: the end of the stream, or what is behind urgent data (MSG_OOB), comes after it. */
const MORE = EPOLL.PRI | EPOLL.RDHUP | EPOLL.HUP;
/** Reads of one socket in a turn: then the others have theirs. */
const READS_PER_TURN = 4;

/** What is received goes through here: one for each thread, lent to the handler for the time of its call. */
const received = new Uint8Array(new ArrayBuffer(128 * 1024));
const SUBJECT = "a connection";
const option = new Int32Array(new ArrayBuffer(8));
const optionBytes = new Uint32Array(new ArrayBuffer(4));

/** What happens to a {@link StreamSocket}. */
export interface StreamHandler {
  /** @param chunk Its memory is reused as soon as this returns. */
  received(chunk: Uint8Array): void;
  /** The kernel has room again, after a write of which it has not taken all. */
  drained(): void;
  /** The peer sends no more; it may still read. */
  halfClosed(): void;
  /** What {@link StreamSocket.timeout} has set is over. */
  timedOut(): void;
  /** The last that is told. In order, on both sides or on this one, when there is no error. */
  closed(error?: SystemCallError): void;
}

/**
 * A connected stream socket (TCP or Unix) in the event loop of the thread that made it. It has Bun's Socket for a model, in what it can and what its functions are called, and costs less
 * (docs/performance.md of the repository has figures). Nothing here blocks, and nothing is kept: what the kernel does not take is the caller's to write again.
 *
 * @see recv(2), send(2), epoll(7)
 */
export class StreamSocket implements Watcher {
  readonly #loop: EventLoop;
  readonly #handler: StreamHandler;
  readonly #place: number;
  readonly #address: Uint8Array | undefined;
  #host: string | undefined;
  #fildes: number;
  #deadlineMs = Number.POSITIVE_INFINITY;
  #isPaused = false;
  /** Something may be there to read that the kernel will not tell of again. */
  #isUnread = false;
  #waitsForRoom = false;
  #hasPeerEnded = false;
  #hasEnded = false;
  #failure: SystemCallError | undefined;

  /**
   * @param fildes Of a connected socket that does not block (O_NONBLOCK). It is this object's from here on, and closed by it; there is no other one of the socket (dup(2)).
   * @param handler Told of everything, from the next turn of the event loop on; of an end that this side brings about at once.
   * @param address Of the peer: a struct sockaddr.
   * @throws {SystemCallError} `ENOSPC`: `fs.epoll.max_user_watches`; the descriptor is still the caller's then.
   */
  constructor(fildes: number, handler: StreamHandler, address?: Uint8Array) {
    this.#loop = EventLoop.current();
    this.#fildes = fildes;
    this.#handler = handler;
    this.#address = address;
    this.#place = this.#loop.watch(fildes, EVENTS, this);
  }

  /**
   * Takes a connection over from a socket of Bun's, for instance one that `Bun.connect` has made, which resolves names and tries all addresses of one. The peer does not notice. Bun's
   * socket is closed, and tells so (`close`) before this returns.
   *
   * @param socket Connected and without TLS; nothing of it was read yet (call this in its `open`).
   * @throws {SystemCallError} `EMFILE`: no descriptor left; Bun's socket goes on then.
   * @example
   * await Bun.connect({ hostname, port, socket: { open: (socket) => void StreamSocket.takeOver(socket, handler), data() {} } });
   */
  static takeOver(socket: Pick<Bun.Socket, "terminate">, handler: StreamHandler): StreamSocket {
    const fildes = sameSocket((socket as typeof socket & { fd: number }).fd);
    socket.terminate();
    option.fill(0);
    libc().setsockopt(fildes, SOL_SOCKET, SO_LINGER, option, 8); // terminate() has set it: our end would be a reset
    try {
      return new StreamSocket(fildes, handler);
    } catch (error) {
      libc().close(fildes);
      throw error;
    }
  }

  /** Its descriptor, for options to be set; -1 once it is closed. */
  get fd(): number {
    return this.#fildes;
  }

  /** The peer's host; undefined once it is closed. */
  get remoteAddress(): string | undefined {
    if (this.#fildes === -1) return undefined;
    this.#host ??= this.#address === undefined ? "" : hostOf(this.#address);
    return this.#host;
  }

  /** Returns how many bytes the kernel took; when not all, {@link StreamHandler.drained} tells when to write the rest. Below 0: it is closed, or {@link shutdown}. */
  write(bytes: Uint8Array): number {
    if (this.#fildes === -1 || this.#hasEnded || this.#failure !== undefined) return -1;
    const { length } = bytes;
    if (length === 0) return 0;
    for (;;) {
      const taken = libc().send(this.#fildes, bytes, length, MSG_NOSIGNAL);
      if (taken === length) {
        this.#waitsForRoom = false;
        return taken;
      }
      if (taken >= 0) {
        this.#waitsForRoom = true;
        return taken;
      }
      const failure = errno();
      if (failure === ERRNO.EINTR) continue;
      if (failure !== ERRNO.EAGAIN) return this.#broke(failure);
      this.#waitsForRoom = true;
      return 0;
    }
  }

  /** Calls {@link StreamHandler.timedOut} once, that many seconds from now, give or take one; it replaces the one before. 0: never. */
  timeout(seconds: number): void {
    this.#deadlineMs = seconds === 0 ? Number.POSITIVE_INFINITY : this.#loop.clockMs + seconds * 1000;
  }

  /** Nothing is received until {@link resume}: what comes waits in the kernel, and its sender with it. */
  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    if (this.#isUnread) this.#loop.callSoon(this);
  }

  /** Nothing more will be written; the peer is told so once it has all. It may still send. */
  shutdown(): void {
    if (this.#fildes === -1 || this.#hasEnded) return;
    this.#hasEnded = true;
    if (this.#hasPeerEnded) return this.#close();
    libc().shutdown(this.#fildes, SHUT_WR);
  }

  /** Closes it; what was written still reaches a peer that sends nothing more. */
  end(): void {
    this.#close();
  }

  /** Closes it at once: the peer gets a reset in place of what it has not received yet. */
  terminate(): void {
    if (this.#fildes === -1) return;
    option[0] = 1;
    option[1] = 0;
    libc().setsockopt(this.#fildes, SOL_SOCKET, SO_LINGER, option, 8);
    this.#close();
  }

  ready(events: number): void {
    if (this.#fildes === -1) return;
    if ((events & EPOLL.ERR) !== 0 || this.#failure !== undefined) return this.#failed();
    if (this.#waitsForRoom && (events & EPOLL.OUT) !== 0) {
      this.#waitsForRoom = false;
      this.#handler.drained();
      if (this.#fildes === -1) return;
    }
    if ((events & ~EPOLL.OUT) === 0 && !this.#isUnread) return;
    if (this.#isPaused) this.#isUnread = true;
    else this.#read((events & MORE) !== 0 || this.#isUnread);
  }

  sweep(clockMs: number): void {
    if (this.#deadlineMs > clockMs) return;
    this.#deadlineMs = Number.POSITIVE_INFINITY;
    this.#handler.timedOut();
  }

  /** @param toTheEnd A short read is not the last: more, or the end of the stream, is behind it. */
  #read(toTheEnd: boolean): void {
    this.#isUnread = false;
    if (this.#hasPeerEnded) return;
    for (let reads = 0; reads < READS_PER_TURN; reads++) {
      const bytes = this.#receive();
      if (bytes <= 0) return;
      if (bytes < received.length && !toTheEnd) return;
      if (!this.#isPaused) continue;
      this.#isUnread = true;
      return;
    }
    this.#isUnread = true;
    this.#loop.callSoon(this);
  }

  /** How many bytes have come; 0 when nothing more can be read now, or ever. */
  #receive(): number {
    for (;;) {
      const bytes = libc().recv(this.#fildes, received, received.length, 0);
      if (bytes > 0) {
        this.#handler.received(received.subarray(0, bytes));
        return this.#fildes === -1 ? 0 : bytes;
      }
      const failure = bytes === 0 ? 0 : errno();
      if (failure === ERRNO.EINTR) continue;
      // A write that failed has taken the error with it: what looks like the end of the stream is a reset.
      if (bytes === 0 && this.#failure === undefined) this.#ended();
      else if (failure !== ERRNO.EAGAIN) this.#close(this.#failure ?? new SystemCallError("recv", SUBJECT, failure));
      return 0;
    }
  }

  #ended(): void {
    this.#hasPeerEnded = true;
    if (this.#hasEnded) this.#close();
    else this.#handler.halfClosed();
  }

  /** The peer has reset it, as the kernel says or a write has found. What it had sent before, which may be a whole response, is told first, also to who has paused. */
  #failed(): void {
    if (!this.#hasPeerEnded) while (this.#receive() > 0);
    if (this.#fildes === -1) return;
    if (this.#failure !== undefined) return this.#close(this.#failure);
    optionBytes[0] = 4;
    const isTold = libc().getsockopt(this.#fildes, SOL_SOCKET, SO_ERROR, option, optionBytes) === 0;
    const failure = isTold ? option[0]! : 0;
    if (failure !== 0 || this.#hasPeerEnded)
      this.#close(failure === 0 ? undefined : new SystemCallError("recv", SUBJECT, failure));
  }

  /** A write has failed, which the kernel tells once: the next turn tells the handler, not this call within one of its own. */
  #broke(failure: number): -1 {
    this.#failure = new SystemCallError("send", SUBJECT, failure);
    this.#loop.callSoon(this);
    return -1;
  }

  #close(error?: SystemCallError): void {
    if (this.#fildes === -1) return;
    const fildes = this.#fildes;
    this.#fildes = -1;
    libc().close(fildes);
    this.#loop.forget(this.#place);
    this.#handler.closed(error);
  }
}
