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
    try {
      while (waiting.length > 0)
        this.#lookAfter(waiting.splice(0, PARTINGS_MAX).filter(({ socket }) => socket.fd !== -1));
    } finally {
      for (const one of waiting) this.#keep(one); // somebody who was told has thrown
    }
  };

  #lookAfter(some: readonly Waiting[]): void {
    some.forEach(({ socket }, call) => {
      this.#write(call, IORING_OP.RECV, socket.fd);
    });
    this.#ring.submit(this.#first, some.length, this.#results);
    const isOver = some.map((_, call) => hasEnded(this.#results[call]!));
    const over = some.filter((_, call) => isOver[call]).map(({ socket }) => socket);
    this.#close(over.map((socket) => socket.release()));
    some.forEach((waiting, call) => {
      if (!isOver[call]) this.#keep(waiting);
    });
    tell(over);
  }

  #keep(waiting: Waiting): void {
    waiting.looks += 1;
    if (waiting.looks === LOOKS_MAX) return waiting.socket.watch();
    this.#waiting.push(waiting);
    this.#timer ??= setTimeout(this.look, LOOK_MS);
  }

  #close(all: readonly number[]): void {
    all.forEach((fildes, call) => {
      this.#write(call, IORING_OP.CLOSE, fildes);
    });
    if (all.length > 0) this.#ring.submit(this.#first, all.length, this.#results);
    all.forEach((fildes, call) => {
      if (this.#results[call] === NOT_MADE) libc().close(fildes);
    });
  }

  #write(call: number, operation: number, fildes: number): void {
    const { calls } = this.#ring;
    const at = (this.#first + call) * SQE.words;
    const isReceived = operation === IORING_OP.RECV;
    calls[at + SQE.opcode] = operation;
    calls[at + SQE.fildes] = fildes;
    writeAddress(calls, at + SQE.address, isReceived ? this.#address : 0);
    calls[at + SQE.bytes] = isReceived ? DROPPED_BYTES : 0;
    calls[at + SQE.flags] = isReceived ? MSG.DONTWAIT : 0;
    calls[at + SQE.userData] = call;
  }
}

interface Waiting {
  readonly socket: PartingSocket;
  looks: number;
}

/** Whoever throws keeps nobody else from being told. */
function tell(closed: PartingSocket[]): void {
  const socket = closed.shift();
  if (socket === undefined) return;
  try {
    socket.released();
  } finally {
    tell(closed);
  }
}

/** @param received What recv(2) has returned, or the error. */
function hasEnded(received: number): boolean {
  return received === 0 || (received < 0 && !GOES_ON.has(received));
}

const GOES_ON: ReadonlySet<number> = new Set([NOT_MADE, -ERRNO.EAGAIN, -ERRNO.EINTR]);
