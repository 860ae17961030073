import { ptr } from "bun:ffi";
import { IORING_OP, type IoUring, NOT_MADE, SQE, writeAddress } from "../io-uring.ts";
import { MSG } from "./numbers.ts";
import { PrefixViews } from "./prefix-views.ts";

/** Sockets that are read in one system call at most. */
export const RECEIVES_MAX = 32;
/** What one of them can bring so; who has sent more is read again. */
const SLOT_BYTES = 16 * 1024;

/** Reads many sockets in one system call, each into memory of its own; for the sockets of one thread. */
export class ReceiveBatch {
  readonly #ring: IoUring;
  readonly #first: number;
  readonly #slots: readonly PrefixViews[];
  readonly #results = new Int32Array(RECEIVES_MAX);
  #asked = 0;
  /** Tickets: of the run that is to come, and of the last one, whose bytes are in the slots. */
  #next = RECEIVES_MAX;
  #last = 0;

  /** @param first From here on {@link RECEIVES_MAX} of the ring's calls are this batch's. */
  constructor(ring: IoUring, first: number) {
    this.#ring = ring;
    this.#first = first;
    const memory = new Uint8Array(new ArrayBuffer(RECEIVES_MAX * SLOT_BYTES));
    const address = ptr(memory);
    this.#slots = Array.from({ length: RECEIVES_MAX }, (_, slot) => {
      const at = (first + slot) * SQE.words;
      ring.calls[at + SQE.opcode] = IORING_OP.RECV;
      writeAddress(ring.calls, at + SQE.address, address + slot * SLOT_BYTES);
      ring.calls[at + SQE.bytes] = SLOT_BYTES;
      ring.calls[at + SQE.flags] = MSG.DONTWAIT;
      ring.calls[at + SQE.userData] = slot;
      return PrefixViews.over(memory.subarray(slot * SLOT_BYTES, (slot + 1) * SLOT_BYTES));
    });
  }

  /** Has `fildes` read with the others. @returns Its ticket; -1: there is no slot left. */
  ask(fildes: number): number {
    if (this.#asked === RECEIVES_MAX) return -1;
    this.#ring.calls[(this.#first + this.#asked) * SQE.words + SQE.fildes] = fildes;
    return this.#next + this.#asked++;
  }

  /** Reads all that have asked. What comes is there until the next run. */
  run(): void {
    if (this.#asked > 1) this.#ring.submit(this.#first, this.#asked, this.#results);
    else this.#results[0] = NOT_MADE; // alone it is cheaper to be read as ever
    this.#asked = 0;
    this.#last = this.#next;
    this.#next += RECEIVES_MAX;
  }

  /** What recv(2) has returned; below 0 the error, or {@link NOT_MADE}, also for a ticket of a former run. */
  result(ticket: number): number {
    return ticket < this.#last ? NOT_MADE : this.#results[ticket - this.#last]!;
  }

  /** The first bytes of what has come. */
  bytes(ticket: number, length: number): Uint8Array {
    return this.#slots[ticket - this.#last]!.of(length);
  }

  /** Whether there may be more to read behind `length` bytes. */
  isFull(length: number): boolean {
    return length === SLOT_BYTES;
  }
}
