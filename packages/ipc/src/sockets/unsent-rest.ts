import { ERRNO } from "../errno.ts";
import { EPOLL, EventLoop, type Watcher } from "../event-loop.ts";
import { errno, libc } from "../libc.ts";
import { MSG } from "./numbers.ts";

/** A peer that takes nothing for so long gets no more. */
const PATIENCE_MS = 60_000;

/** The last bytes of a connection that was closed before the kernel had room for them: sends them, then closes it. */
export class UnsentRest implements Watcher {
  readonly #loop = EventLoop.current();
  readonly #fildes: number;
  readonly #place: number;
  #unsent: Uint8Array;
  #deadlineMs: number;

  /** @param fildes Of a connected socket that does not block and is not watched; it is closed in the end. */
  static send(fildes: number, unsent: Uint8Array): void {
    try {
      new UnsentRest(fildes, unsent);
    } catch {
      libc().close(fildes); // the kernel watches no more descriptors for this user
    }
  }

  private constructor(fildes: number, unsent: Uint8Array) {
    this.#fildes = fildes;
    this.#unsent = unsent;
    this.#deadlineMs = this.#loop.clockMs + PATIENCE_MS;
    this.#place = this.#loop.watch(fildes, EPOLL.OUT | EPOLL.ET, this); // told at once if there is room by now
  }

  ready(events: number): void {
    if ((events & (EPOLL.ERR | EPOLL.HUP)) !== 0) return this.#close();
    const taken = libc().send(this.#fildes, this.#unsent, this.#unsent.length, MSG.NOSIGNAL);
    if (taken > 0) {
      this.#unsent = this.#unsent.subarray(taken);
      this.#deadlineMs = this.#loop.clockMs + PATIENCE_MS;
    }
    if (this.#unsent.length === 0) return this.#close();
    if (taken >= 0) return;
    const failure = errno();
    if (failure === ERRNO.EINTR) this.#loop.callSoon(this);
    else if (failure !== ERRNO.EAGAIN) this.#close();
  }

  sweep(clockMs: number): void {
    if (clockMs >= this.#deadlineMs) this.#close();
  }

  #close(): void {
    libc().close(this.#fildes);
    this.#loop.forget(this.#place);
  }
}
