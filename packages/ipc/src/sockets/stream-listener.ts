import { ERRNO } from "../errno.ts";
import { EPOLL, EventLoop, type Watcher } from "../event-loop.ts";
import { errno, libc } from "../libc.ts";
import { sameSocket } from "./listening-socket.ts";
import { LEVEL, TCP } from "./numbers.ts";
import { ADDRESS_BYTES, peerAddress } from "./peer-address.ts";
import { type StreamHandler, StreamSocket } from "./stream-socket.ts";

const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
/** Connections accepted in a turn at most: then those that are open have theirs. */
const ACCEPTS_PER_TURN = 32;
/** How long connections wait when none can be accepted: trying at once, as the kernel suggests, would take a whole processor. */
const PAUSE_MS = 100;

const address = new Uint8Array(new ArrayBuffer(ADDRESS_BYTES));
const addressBytes = new Uint32Array(new ArrayBuffer(4));
const on = new Int32Array(new ArrayBuffer(4)).fill(1);

/** Who is told of a connection that was accepted. */
export interface AcceptedHandler extends StreamHandler {
  /** The first that is told. */
  opened(socket: StreamSocket): void;
}

/** Accepts the connections of a listening socket in the event loop of the thread that made it. */
export class StreamListener implements Watcher {
  readonly #loop: EventLoop;
  readonly #fildes: number;
  readonly #handlerFor: () => AcceptedHandler;
  #place: number | undefined;
  #pause: ReturnType<typeof setTimeout> | undefined;
  #isStopped = false;
  /** How many connections are asked for in one go: one, which is what mostly waits, and twice as many in each turn that follows on one where more did. */
  #accepts = 1;
  #turn = -1;

  /**
   * Accepts from now on, in the calling thread.
   *
   * @param fildes Of a socket that listens and does not block; it stays the caller's. TCP_NODELAY is set on it: what its connections write leaves at once.
   * @param handlerFor Called for each connection.
   * @throws {SystemCallError} `EMFILE`: no descriptor left. `EBADF`: it is closed. `ENOSPC`: `fs.epoll.max_user_watches`.
   * @example
   * const listener = StreamListener.accept(fildes, () => new Echo());
   * listener.stop();
   */
  static accept(fildes: number, handlerFor: () => AcceptedHandler): StreamListener {
    return new StreamListener(fildes, handlerFor);
  }

  private constructor(fildes: number, handlerFor: () => AcceptedHandler) {
    this.#loop = EventLoop.current();
    this.#handlerFor = handlerFor;
    this.#fildes = sameSocket(fildes);
    libc().setsockopt(this.#fildes, LEVEL.TCP, TCP.NODELAY, on, 4); // inherited by what is accepted; refused where it is not TCP
    try {
      this.#place = this.#loop.watch(this.#fildes, EPOLL.IN, this);
    } catch (error) {
      libc().close(this.#fildes);
      throw error;
    }
  }

  /** Accepts no more; connections that are open go on. */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    clearTimeout(this.#pause);
    this.#rest();
    libc().close(this.#fildes);
  }

  ready(): void {
    const { turns } = this.#loop;
    this.#accepts = turns === this.#turn + 1 ? Math.min(ACCEPTS_PER_TURN, this.#accepts * 2) : 1;
    this.#turn = turns;
    for (let accepted = 0; accepted < this.#accepts && !this.#isStopped; accepted++) {
      addressBytes[0] = ADDRESS_BYTES;
      const fildes = libc().accept4(this.#fildes, address, addressBytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fildes === -1) return this.#refused(errno());
      const handler = this.#handlerFor();
      handler.opened(StreamSocket.accepted(fildes, handler, peerAddress(address)));
    }
  }

  /** accept(2): errors of a connection that is gone already come here too, and are passed over. */
  #refused(failure: number): void {
    this.#turn = -1; // no more wait
    if (failure === ERRNO.EINVAL) return this.#rest(); // somebody has ended its listening, of which the kernel would tell without end
    if (!EXHAUSTED.has(failure)) return;
    this.#rest();
    this.#goOnLater();
  }

  #goOnLater(): void {
    this.#pause = setTimeout(() => {
      try {
        this.#place = this.#loop.watch(this.#fildes, EPOLL.IN, this);
      } catch {
        this.#goOnLater(); // the kernel still has too little
      }
    }, PAUSE_MS);
  }

  #rest(): void {
    if (this.#place !== undefined) this.#loop.unwatch(this.#fildes, this.#place);
    this.#place = undefined;
  }
}

/** No descriptor or no memory is left. */
const EXHAUSTED: ReadonlySet<number> = new Set([ERRNO.ENFILE, ERRNO.EMFILE, ERRNO.ENOBUFS, ERRNO.ENOMEM]);
