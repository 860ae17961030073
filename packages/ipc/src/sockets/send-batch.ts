import { type Pointer, ptr } from "bun:ffi";
import { IORING_OP, type IoUring, NOT_MADE, SQE, writeAddress } from "../io-uring.ts";
import { errno, libc } from "../libc.ts";
import { MSG } from "./numbers.ts";

/** Sockets that are written to in one system call at most: their peers wait for the last of them. */
export const SENDS_MAX = 16;
/** Of one socket. What is larger leaves by itself: to copy it would take longer than what is saved, and what the kernel does not take has to be kept. */
const BYTES_MAX = 8 * 1024;

/** Whose bytes they are. */
export interface Sender {
  /**
   * They have been sent, or not.
   *
   * @param failure 0, or the number of the error.
   * @param unsent What the kernel has not taken; its memory is reused as soon as this returns.
   */
  sent(failure: number, unsent: Uint8Array): void;
}

/** Writes to many sockets in one system call; for the sockets of one thread. */
export class SendBatch {
  readonly #ring: IoUring;
  readonly #first: number;
  readonly #memory = new Uint8Array(new ArrayBuffer(SENDS_MAX * BYTES_MAX));
  readonly #address = ptr(this.#memory);
  readonly #senders: Sender[] = [];
  readonly #ends = new Int32Array(SENDS_MAX);
  readonly #results = new Int32Array(SENDS_MAX);
  #count = 0;
  #used = 0;

  /** @param first From here on {@link SENDS_MAX} of the ring's calls are this batch's. */
  constructor(ring: IoUring, first: number) {
    this.#ring = ring;
    this.#first = first;
    for (let record = 0; record < SENDS_MAX; record++) {
      const at = (first + record) * SQE.words;
      ring.calls[at + SQE.opcode] = IORING_OP.SEND;
      ring.calls[at + SQE.flags] = MSG.DONTWAIT | MSG.NOSIGNAL;
      ring.calls[at + SQE.userData] = record;
    }
  }

  /**
   * Takes a copy of `bytes`, to be sent with those of others. Of one socket there is one record at most, since of two the second would be sent although the kernel had no room for all of the first: what follows is joined
   * to it where that is the last one.
   *
   * @param isQueued There is a record of this socket.
   * @returns Whether they were taken; else they are to be sent by themselves, after a {@link flush} if there is a record.
   */
  take(sender: Sender, fildes: number, bytes: Uint8Array, isQueued: boolean): boolean {
    const { length } = bytes;
    if (isQueued && this.#senders[this.#count - 1] !== sender) return false;
    if (length + (isQueued ? this.#length(this.#count - 1) : 0) > BYTES_MAX) return false;
    if (!isQueued && this.#count === SENDS_MAX) this.flush();
    this.#memory.set(bytes, this.#used);
    if (!isQueued) this.#begin(sender, fildes);
    this.#used += length;
    this.#ends[this.#count - 1] = this.#used;
    return true;
  }

  /** Sends all that was taken, and tells each {@link Sender}. */
  flush(): void {
    const count = this.#count;
    if (count === 0) return;
    this.#count = 0;
    this.#used = 0;
    for (let record = 0; record < count; record++) this.#call(record, SQE.bytes, this.#length(record));
    if (count > 1) this.#ring.submit(this.#first, count, this.#results);
    else this.#results[0] = NOT_MADE;
    for (let record = 0; record < count; record++) this.#tell(record);
  }

  #begin(sender: Sender, fildes: number): void {
    const record = this.#count++;
    this.#senders[record] = sender;
    this.#call(record, SQE.fildes, fildes);
    writeAddress(this.#ring.calls, (this.#first + record) * SQE.words + SQE.address, this.#address + this.#used);
  }

  #tell(record: number): void {
    const length = this.#length(record);
    let result = this.#results[record]!;
    if (result === NOT_MADE) result = this.#sendAlone(record, length);
    const taken = Math.max(0, result);
    const unsent =
      taken === length ? NOTHING : this.#memory.subarray(this.#start(record) + taken, this.#start(record) + length);
    this.#senders[record]!.sent(result < 0 ? -result : 0, unsent);
  }

  #sendAlone(record: number, length: number): number {
    const fildes = this.#ring.calls[(this.#first + record) * SQE.words + SQE.fildes]!;
    const address = (this.#address + this.#start(record)) as Pointer;
    const taken = libc().send(fildes, address, length, MSG.DONTWAIT | MSG.NOSIGNAL);
    return taken < 0 ? -errno() : taken;
  }

  #call(record: number, word: number, value: number): void {
    this.#ring.calls[(this.#first + record) * SQE.words + word] = value;
  }

  #start(record: number): number {
    return record === 0 ? 0 : this.#ends[record - 1]!;
  }

  #length(record: number): number {
    return this.#ends[record]! - this.#start(record);
  }
}

const NOTHING = new Uint8Array(0);
