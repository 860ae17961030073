import { ptr } from "bun:ffi";
import { ERRNO } from "../errno.ts";
import { IORING_OP, type IoUring, NOT_MADE, SQE, writeAddress } from "../io-uring.ts";
import { libc } from "../libc.ts";
import { MSG } from "./numbers.ts";

/** Sockets that are looked after in one system call. */
export const PARTINGS_MAX = 16;
/** They are, once so many have come, or after this time. */
const LOOK_MS = 5;
/** A socket whose peer has not ended when it was looked after so often is watched like any other. */
const LOOKS_MAX = 2;
const DROPPED_BYTES = 4096;

/** A socket that has ended its side, and drops what still comes. */
export interface PartingSocket {
  /** -1: it is closed. */
  readonly fd: number;
  /** Its peer has ended too, or is gone. @returns The descriptor, which is the caller's to close. */
  release(): number;
  /** It was closed. */
  released(): void;
  /** This takes longer: the event loop is to tell. */
  watch(): void;
}

/**
 * Waits for the peers of sockets that have ended, so that no reset takes from a peer what it has not read yet. Most peers end within a moment: to be told of each by the kernel, and to read and close each
 * by itself, takes four system calls and a turn of the event loop, as long as half of what else a small response takes. So they are looked after together, a little later.
 *
 * For the sockets of one thread, which are watched by nobody else meanwhile.
 */
export class Partings {
  readonly #ring: IoUring;
  readonly #first: number;
  readonly #dropped = new Uint8Array(new ArrayBuffer(DROPPED_BYTES));
  readonly #address = ptr(this.#dropped);
  readonly #results = new Int32Array(PARTINGS_MAX);
  #waiting: Waiting[] = [];
  #added = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param first From here on {@link PARTINGS_MAX} of the ring's calls are these sockets'. */
  constructor(ring: IoUring, first: number) {
    this.#ring = ring;
    this.#first = first;
  }

  add(socket: PartingSocket): void {
    this.#waiting.push({ socket, looks: 0 });
    this.#added += 1;
    this.#timer ??= setTimeout(this.look, LOOK_MS);
  }

  turnEnds(): void {
    if (this.#added >= PARTINGS_MAX) this.look();
  }

  /** Looks after all of them now. */
  readonly look = (): void => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#added = 0;
    const waiting = this.#waiting;
    this.#waiting = [];
    let at = 0;
    try {
      while (at < waiting.length) {
        const some = waiting.slice(at, at + PARTINGS_MAX);
        at += some.length;
        this.#lookAfter(some);
      }
    } finally {
      for (; at < waiting.length; at++) this.#keep(waiting[at]!); // somebody who was told has thrown
    }
  };

  /** In loops, since each connection that ends comes by here. */
  #lookAfter(some: readonly Waiting[]): void {
    const asked: Waiting[] = [];
    for (const waiting of some) {
      if (waiting.socket.fd === -1) continue;
      this.#write(asked.length, IORING_OP.RECV, waiting.socket.fd);
      asked.push(waiting);
    }
    if (asked.length === 0) return;
    this.#ring.submit(this.#first, asked.length, this.#results);
    const over: PartingSocket[] = [];
    const kept: Waiting[] = [];
    for (let call = 0; call < asked.length; call++) {
      if (hasEnded(this.#results[call]!)) over.push(asked[call]!.socket);
      else kept.push(asked[call]!);
    }
    this.#release(over);
    for (const waiting of kept) this.#keep(waiting);
    tell(over);
  }

  #keep(waiting: Waiting): void {
    waiting.looks += 1;
    if (waiting.looks === LOOKS_MAX) return waiting.socket.watch();
    this.#waiting.push(waiting);
    this.#timer ??= setTimeout(this.look, LOOK_MS);
  }

  #release(all: readonly PartingSocket[]): void {
    if (all.length === 0) return;
    for (let call = 0; call < all.length; call++) this.#write(call, IORING_OP.CLOSE, all[call]!.release());
    this.#ring.submit(this.#first, all.length, this.#results);
    for (let call = 0; call < all.length; call++)
      if (this.#results[call] === NOT_MADE) libc().close(this.#ring.calls[this.#wordOf(call) + SQE.fildes]!);
  }

  #write(call: number, operation: number, fildes: number): void {
    const { calls } = this.#ring;
    const at = this.#wordOf(call);
    const isReceived = operation === IORING_OP.RECV;
    calls[at + SQE.opcode] = operation;
    calls[at + SQE.fildes] = fildes;
    writeAddress(calls, at + SQE.address, isReceived ? this.#address : 0);
    calls[at + SQE.bytes] = isReceived ? DROPPED_BYTES : 0;
    calls[at + SQE.flags] = isReceived ? MSG.DONTWAIT : 0;
    calls[at + SQE.userData] = call;
  }

  /** Where a call begins in those of the ring. */
  #wordOf(call: number): number {
    return (this.#first + call) * SQE.words;
  }
}

interface Waiting {
  readonly socket: PartingSocket;
  looks: number;
}

/** Whoever throws keeps nobody else from being told. */
function tell(closed: readonly PartingSocket[]): void {
  const failures: unknown[] = [];
  for (const socket of closed) {
    try {
      socket.released();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

/** @param received What recv(2) has returned, or the error. */
function hasEnded(received: number): boolean {
  return received === 0 || (received < 0 && !GOES_ON.has(received));
}

const GOES_ON: ReadonlySet<number> = new Set([NOT_MADE, -ERRNO.EAGAIN, -ERRNO.EINTR]);
