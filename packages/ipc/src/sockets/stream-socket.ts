import { ERRNO, SystemCallError } from "../errno.ts";
import { EPOLL, EventLoop, type Watcher } from "../event-loop.ts";
import { NOT_MADE } from "../io-uring.ts";
import { errno, libc } from "../libc.ts";
import { sameSocket } from "./listening-socket.ts";
import { LEVEL, MSG, SHUT, SO } from "./numbers.ts";
import type { PartingSocket } from "./partings.ts";
import { hostOf, type PeerAddress } from "./peer-address.ts";
import { PrefixViews } from "./prefix-views.ts";
import type { Sender } from "./send-batch.ts";
import { type SocketCalls, socketCalls } from "./socket-calls.ts";

/** Everything that can happen, told once each time it begins (EPOLLET): a socket is never told to the kernel again. */
const EVENTS = EPOLL.IN | EPOLL.PRI | EPOLL.OUT | EPOLL.RDHUP | EPOLL.ET;
/** A short read is not the last then: the end of the stream, or what is behind urgent data (MSG_OOB), comes after it. */
const MORE = EPOLL.PRI | EPOLL.RDHUP | EPOLL.HUP;
/** Reads of one socket in a turn: then the others have theirs. */
const READS_PER_TURN = 4;
/** A peer that takes nothing of the last bytes for so long, after {@link StreamSocket.end}, gets no more. */
const LAST_BYTES_MS = 60_000;
/** Bytes of a file that one socket is given in a turn: a peer that reads as fast as the kernel hands out would have it all, and the others nothing meanwhile. */
const FILE_BYTES_PER_TURN = 4 * 1024 * 1024;

/** What is received goes through here: one for each thread, lent to the handler for the time of its call. */
const received = new Uint8Array(new ArrayBuffer(128 * 1024));
const receivedViews = PrefixViews.over(received);
const SUBJECT = "a connection";
const option = new Int32Array(new ArrayBuffer(8));
const optionBytes = new Uint32Array(new ArrayBuffer(4));
/** An off_t. */
const offset = new Uint32Array(new ArrayBuffer(8));

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
 * (docs/performance.md of the repository has figures). Nothing here blocks. What the kernel does not take is the caller's to write again, but for the little that is written together with what other sockets write: see {@link write}.
 *
 * @see recv(2), send(2), epoll(7)
 */
export class StreamSocket implements Watcher, Sender, PartingSocket {
  readonly #loop: EventLoop;
  readonly #calls: SocketCalls | undefined;
  readonly #handler: StreamHandler;
  /** In the event loop; undefined while it is not watched: until it was read once, and while it parts with others. */
  #place: number | undefined;
  readonly #address: PeerAddress | undefined;
  #host: string | undefined;
  #fildes: number;
  #deadlineMs = Number.POSITIVE_INFINITY;
  #isPaused = false;
  /** Something may be there to read that the kernel will not tell of again. */
  #isUnread = false;
  #waitsForRoom = false;
  /** There is room that the kernel will not tell of. */
  #hasRoom = false;
  #hasPeerEnded = false;
  #hasEnded = false;
  /** It is closed as soon as all has left. */
  #isEnding = false;
  /** What still comes is dropped. */
  #isLingering = false;
  /** Under which it was received with others; -1: it was not. */
  #ticket = -1;
  /** Came so while it had already been paused. */
  #kept: Uint8Array | undefined;
  /** What came last filled what there was for it: more may be there. */
  #wasFull = false;
  /** What was written waits to be sent with what others write. */
  #isQueued = false;
  /** What the kernel has not taken of it. */
  #unsent: Uint8Array | undefined;
  #failure: SystemCallError | undefined;

  /**
   * @param fildes Of a connected socket that does not block (O_NONBLOCK). It is this object's from here on, and closed by it; there is no other one of the socket (dup(2)).
   * @param handler Told of everything, from the next turn of the event loop on; of an end that this side brings about at once.
   * @throws {SystemCallError} `ENOSPC`: `fs.epoll.max_user_watches`; the descriptor is still the caller's then.
   */
  static connected(fildes: number, handler: StreamHandler): StreamSocket {
    const socket = new StreamSocket(fildes, handler);
    socket.#place = socket.#loop.watch(fildes, EVENTS, socket);
    return socket;
  }

  /**
   * A connection that was just accepted. It is read in this turn of the event loop: its peer has mostly sent something by now, and to have the kernel tell so takes longer. Only then it is watched, if it is still open.
   *
   * @param fildes As of {@link connected}.
   * @param address Of the peer.
   */
  static accepted(fildes: number, handler: StreamHandler, address: PeerAddress): StreamSocket {
    const socket = new StreamSocket(fildes, handler, address);
    socket.#loop.callSoon(socket);
    return socket;
  }

  private constructor(fildes: number, handler: StreamHandler, address?: PeerAddress) {
    this.#loop = EventLoop.current();
    this.#fildes = fildes;
    this.#handler = handler;
    this.#address = address;
    this.#calls = socketCalls();
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
    libc().setsockopt(fildes, LEVEL.SOCKET, SO.LINGER, option, 8); // terminate() has set it: our end would be a reset
    try {
      return StreamSocket.connected(fildes, handler);
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

  /**
   * Returns how many bytes were taken; when not all, {@link StreamHandler.drained} tells when to write the rest. Below 0: it is closed, or {@link shutdown}.
   *
   * Little that is written while this thread's event loop tells what has happened leaves at the end of its turn, in one system call with what its other sockets write, where the kernel can
   * do that (io_uring(7)). An error of such a write is told by {@link StreamHandler.closed}, and what the kernel has no room for is kept: 8 KiB at most, and nothing more is taken until that has left.
   *
   * @param isMore Something follows at once, be it {@link shutdown}, and may leave in one packet with it (MSG_MORE): else the last of it may wait for 200 ms.
   */
  write(bytes: Uint8Array, isMore = false): number {
    if (this.#isEnded) return -1;
    const { length } = bytes;
    if (length === 0) return 0;
    if (!isMore && this.#queue(bytes)) return length;
    if (!this.#flush()) return this.#isEnded ? -1 : this.#took(0, length);
    for (;;) {
      const taken = libc().send(this.#fildes, bytes, length, isMore ? MSG.NOSIGNAL | MSG.MORE : MSG.NOSIGNAL);
      if (taken >= 0) return this.#took(taken, length);
      const failure = errno();
      if (failure !== ERRNO.EINTR) return this.#refused("send", failure);
    }
  }

  /**
   * As {@link write}, with bytes of a file or of shared memory, which are not copied: the kernel refers to their pages until the peer has read them, however long that takes. So nobody may
   * write into them any more, ever. That the file is unlinked or closed meanwhile does no harm.
   *
   * @param file A descriptor of what is sent; it stays the caller's.
   * @param position Where in the file the bytes begin, and `length` how many there are. All have to be in it: where it ends before, the connection is closed with `ENODATA`.
   * @see sendfile(2)
   * @example
   * socket.write(head, true);
   * const taken = socket.sendFile(memory.fildes!, 0, memory.length);
   */
  sendFile(file: number, position: number, length: number): number {
    if (this.#isEnded) return -1;
    if (!this.#flush()) return this.#isEnded ? -1 : this.#took(0, length);
    const most = Math.min(length, FILE_BYTES_PER_TURN);
    let taken = 0;
    while (taken < most) {
      offset[0] = position + taken;
      offset[1] = (position + taken) / 2 ** 32;
      const more = libc().sendfile64(this.#fildes, file, offset, most - taken);
      if (more > 0) taken += more;
      else if (more === 0) return this.#refused("sendfile", ERRNO.ENODATA);
      else if (errno() === ERRNO.EAGAIN) return this.#took(taken, length);
      else if (errno() !== ERRNO.EINTR) return this.#refused("sendfile", errno());
    }
    if (most < length) this.#goOnSoon();
    return this.#took(taken, length);
  }

  /** Calls {@link StreamHandler.timedOut} once, that many seconds from now, give or take one; it replaces the one before. 0: never. */
  timeout(seconds: number): void {
    if (this.#isEnding) return;
    this.#deadlineMs = seconds === 0 ? Number.POSITIVE_INFINITY : this.#loop.clockMs + seconds * 1000;
  }

  /** Nothing is received until {@link resume}: what comes waits in the kernel, and its sender with it. */
  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused || this.#isEnding) return;
    this.#isPaused = false;
    if (this.#isUnread) this.#loop.callSoon(this);
  }

  /** Nothing more will be written; the peer is told so once it has all. It may still send. */
  shutdown(): void {
    if (this.#fildes === -1 || this.#hasEnded) return;
    this.#flush();
    this.#hasEnded = true;
    if (this.#unsent === undefined) this.#shutDown();
  }

  /**
   * Ends it in a way that takes nothing from the peer: it is told that this side has ended, what it still sends is dropped, and the connection is closed when it has ended too, or when `seconds` are over. (A connection
   * that is closed while something is unread, or still comes, is reset, and the peer loses what it has not read yet.) Nothing is told until it is closed, and that a few milliseconds late.
   */
  linger(seconds: number): void {
    if (this.#fildes === -1 || this.#isEnding || this.#isLingering) return;
    this.#isLingering = true;
    this.shutdown();
    this.resume();
    this.timeout(seconds);
    if (this.#mayPart) this.#calls!.partings.add(this);
  }

  /** Closes it; what was written still reaches a peer that sends nothing more. While the kernel has no room for all of that it stays open, and nothing is told of it until it is closed. */
  end(): void {
    if (this.#fildes === -1 || this.#isEnding) return;
    this.#flush();
    if (this.#unsent === undefined) return this.#close();
    this.#hasEnded = true;
    this.#isEnding = true;
    this.#isPaused = true;
    this.#deadlineMs = this.#loop.clockMs + LAST_BYTES_MS;
  }

  /** Closes it at once: the peer gets a reset in place of what it has not received yet. */
  terminate(): void {
    if (this.#fildes === -1) return;
    this.#flush();
    option[0] = 1;
    option[1] = 0;
    libc().setsockopt(this.#fildes, LEVEL.SOCKET, SO.LINGER, option, 8);
    this.#close();
  }

  release(): number {
    const fildes = this.#fildes;
    if (this.#isQueued) this.#calls!.sends.flush();
    this.#fildes = -1;
    if (this.#place !== undefined) this.#loop.forget(this.#place);
    return fildes;
  }

  released(): void {
    this.#handler.closed();
  }

  watch(): void {
    try {
      this.#place = this.#loop.watch(this.#fildes, EVENTS, this);
    } catch {
      // The kernel watches no more descriptors for this user.
      if (this.#isLingering && this.#unsent === undefined) this.#close();
      else this.terminate();
    }
  }

  foresee(events: number): void {
    const isReadable = this.#place === undefined || (events & (EPOLL.IN | EPOLL.ERR)) === EPOLL.IN;
    const isRead = isReadable && !this.#isPaused && !this.#isUnread;
    const isWhole = !this.#hasPeerEnded && this.#failure === undefined && this.#fildes !== -1;
    this.#ticket = isRead && isWhole ? (this.#calls?.receives.ask(this.#fildes) ?? -1) : -1;
  }

  sent(failure: number, unsent: Uint8Array): void {
    this.#isQueued = false;
    if (unsent.length === 0) return;
    if (failure !== 0 && failure !== ERRNO.EAGAIN && failure !== ERRNO.EINTR)
      return void this.#refused("send", failure);
    this.#unsent = unsent.slice();
    if (failure === ERRNO.EINTR) this.#goOnSoon();
  }

  ready(events: number): void {
    if (this.#fildes === -1) return;
    if ((events & EPOLL.ERR) !== 0 || this.#failure !== undefined) return this.#failed();
    if (this.#place === undefined) return this.#readFirst();
    const hasRoom = (events & EPOLL.OUT) !== 0 || this.#hasRoom;
    this.#hasRoom = false;
    if (hasRoom && this.#unsent !== undefined) {
      this.#sendUnsent(this.#unsent);
      if (this.#fildes === -1) return;
    }
    if (hasRoom && this.#waitsForRoom && this.#unsent === undefined) {
      this.#waitsForRoom = false;
      this.#handler.drained();
      if (this.#fildes === -1) return;
    }
    if ((events & ~EPOLL.OUT) === 0 && !this.#isUnread) return;
    if (this.#isPaused) this.#keepReceived();
    else this.#read((events & MORE) !== 0 || this.#isUnread);
  }

  sweep(clockMs: number): void {
    if (this.#deadlineMs > clockMs) return;
    this.#deadlineMs = Number.POSITIVE_INFINITY;
    if (this.#isEnding) this.terminate();
    else if (this.#isLingering) this.end();
    else this.#handler.timedOut();
  }

  /** What comes later, and what is left now, the kernel tells once it is asked to. */
  #readFirst(): void {
    try {
      if (this.#isPaused) this.#keepReceived();
      else this.#read(false);
    } finally {
      if (this.#fildes !== -1 && !this.#mayPart) this.watch();
    }
  }

  /** Whether it waits for nothing but its peer's end, with others. */
  get #mayPart(): boolean {
    const isAtEnd = this.#isLingering && this.#unsent === undefined && this.#failure === undefined;
    return isAtEnd && this.#place === undefined && this.#calls !== undefined && this.#fildes !== -1;
  }

  /** @param toTheEnd A short read is not the last: more, or the end of the stream, is behind it. */
  #read(toTheEnd: boolean): void {
    this.#isUnread = false;
    if (this.#hasPeerEnded) return;
    for (let reads = 0; reads < READS_PER_TURN; reads++) {
      const bytes = this.#receive();
      if (bytes <= 0) return;
      if (!this.#wasFull && !toTheEnd) return;
      if (!this.#isPaused) continue;
      this.#isUnread = true;
      return;
    }
    this.#isUnread = true;
    this.#loop.callSoon(this);
  }

  /** How many bytes have come; 0 when nothing more can be read now, or ever. */
  #receive(): number {
    const kept = this.#kept;
    if (kept !== undefined) {
      this.#kept = undefined;
      return this.#tookIn(kept, true);
    }
    const together = this.#takeTogether();
    if (together !== undefined) {
      if (typeof together === "object") return this.#tookIn(together, this.#calls!.receives.isFull(together.length));
      if (together !== ERRNO.EINTR) return this.#tookNothing(together);
    }
    for (;;) {
      const bytes = libc().recv(this.#fildes, received, received.length, 0);
      if (bytes > 0) return this.#tookIn(receivedViews.of(bytes), bytes === received.length);
      const failure = bytes === 0 ? 0 : errno();
      if (failure !== ERRNO.EINTR) return this.#tookNothing(failure);
    }
  }

  /** What was received for it together with others, or why nothing was: 0 at the end of the stream, else the number of an error. Undefined: it was not tried. */
  #takeTogether(): Uint8Array | number | undefined {
    const ticket = this.#ticket;
    if (ticket === -1) return undefined;
    this.#ticket = -1;
    const { receives } = this.#calls!;
    const result = receives.result(ticket);
    if (result === NOT_MADE) return undefined;
    return result > 0 ? receives.bytes(ticket, result) : -result;
  }

  #tookIn(chunk: Uint8Array, isFull: boolean): number {
    const { length } = chunk; // before it is lent
    this.#wasFull = isFull;
    if (!this.#isLingering) this.#handler.received(chunk);
    return this.#fildes === -1 ? 0 : length;
  }

  #tookNothing(failure: number): 0 {
    // A write that failed has taken the error with it: what looks like the end of the stream is a reset.
    if (failure === 0 && this.#failure === undefined) this.#ended();
    else if (failure !== ERRNO.EAGAIN) this.#close(this.#failure ?? new SystemCallError("recv", SUBJECT, failure));
    return 0;
  }

  /** It was paused since it was foreseen that it would be read. */
  #keepReceived(): void {
    this.#isUnread = true;
    const received = this.#takeTogether();
    if (typeof received === "object") this.#kept = received.slice();
    else if (received !== undefined && received !== 0 && received !== ERRNO.EAGAIN && received !== ERRNO.EINTR)
      this.#refused("recv", received); // the kernel tells it once
  }

  #ended(): void {
    this.#hasPeerEnded = true;
    if (this.#hasEnded && this.#unsent === undefined) this.#close();
    else if (!this.#hasEnded) this.#handler.halfClosed();
  }

  /** The peer has reset it, as the kernel says or a write has found. What it had sent before, which may be a whole response, is told first, also to who has paused. */
  #failed(): void {
    if (!this.#hasPeerEnded && !this.#isEnding) while (this.#receive() > 0);
    if (this.#fildes === -1) return;
    if (this.#failure !== undefined) return this.#close(this.#failure);
    optionBytes[0] = 4;
    const isTold = libc().getsockopt(this.#fildes, LEVEL.SOCKET, SO.ERROR, option, optionBytes) === 0;
    const failure = isTold ? option[0]! : 0;
    if (failure !== 0 || this.#hasPeerEnded || this.#isEnding)
      this.#close(failure === 0 ? undefined : new SystemCallError("recv", SUBJECT, failure));
  }

  /** Has it sent with what others write in this turn. @returns Whether that can be. */
  #queue(bytes: Uint8Array): boolean {
    if (this.#calls === undefined || this.#unsent !== undefined || !this.#loop.isInTurn) return false;
    if (!this.#calls.sends.take(this, this.#fildes, bytes, this.#isQueued)) return false;
    this.#isQueued = true;
    this.#waitsForRoom = false;
    return true;
  }

  /** Sends what was written before. @returns Whether all has left, so that something can follow it. */
  #flush(): boolean {
    if (this.#isQueued) this.#calls!.sends.flush();
    return this.#unsent === undefined && this.#failure === undefined;
  }

  #sendUnsent(unsent: Uint8Array): void {
    const taken = libc().send(this.#fildes, unsent, unsent.length, MSG.NOSIGNAL);
    const failure = taken < 0 ? errno() : 0;
    if (taken > 0 && this.#isEnding) this.#deadlineMs = this.#loop.clockMs + LAST_BYTES_MS;
    this.#unsent = undefined;
    this.sent(failure, taken < 0 ? unsent : unsent.subarray(taken));
    if (this.#unsent === undefined && this.#hasEnded && this.#failure === undefined) this.#shutDown();
  }

  #shutDown(): void {
    if (this.#isEnding) this.#dropReceived();
    if (this.#hasPeerEnded || this.#isEnding) return this.#close();
    libc().shutdown(this.#fildes, SHUT.WR);
  }

  /** A connection that is closed while something is unread is reset, and the peer loses what it has not got yet. */
  #dropReceived(): void {
    for (let reads = 0; reads < READS_PER_TURN; reads++)
      if (libc().recv(this.#fildes, received, received.length, 0) <= 0) return;
  }

  /** Nothing can be written any more. */
  get #isEnded(): boolean {
    return this.#fildes === -1 || this.#hasEnded || this.#failure !== undefined;
  }

  #goOnSoon(): void {
    this.#hasRoom = true;
    this.#loop.callSoon(this);
  }

  #took(taken: number, length: number): number {
    this.#waitsForRoom = taken < length;
    return taken;
  }

  /** No room; or the write has failed, which the kernel tells once: the next turn tells the handler, not this call within one of its own. */
  #refused(syscall: string, failure: number): number {
    if (failure === ERRNO.EAGAIN) return this.#took(0, 1);
    this.#failure = new SystemCallError(syscall, SUBJECT, failure);
    this.#loop.callSoon(this);
    return -1;
  }

  #close(error?: SystemCallError): void {
    if (this.#fildes === -1) return;
    libc().close(this.release());
    this.#handler.closed(error);
  }
}
