import { MessageQueue } from "./message-queue.ts";
import type { ObjectName } from "./object-name.ts";

/** The most messages that an ordinary user's queue holds (/proc/sys/fs/mqueue/msg_max). */
const MESSAGES_MAX = 10;
const MESSAGE_BYTES = 512;
const IDS_PER_MESSAGE = MESSAGE_BYTES / 2;

/** Longer batches are cut into pieces of this size, so that one always finds a message with room for it (see below). */
const PIECE_IDS = 32;

/**
 * How many ids the queue takes. Full of 10 messages with fewer than 2,048 - 32 ids in all, one of them holds at most 201,
 * so a piece of 32 fits into it: 201 + 32 <= 256.
 */
export const FREE_QUEUE_IDS_MAX = 2048;

/**
 * Segment ids in a POSIX message queue. A message carries a batch of them (16 bits each, little-endian), because a queue
 * of an ordinary user holds 10 messages and a pool up to 2,048 segments.
 *
 * Not safe on its own: callers hold the pool's mutex.
 */
export class FreeQueue {
  readonly #queue: MessageQueue;
  readonly #scratch = new Uint16Array(new ArrayBuffer(MESSAGE_BYTES));
  readonly #scratchBytes = new Uint8Array(this.#scratch.buffer);

  constructor(queue: MessageQueue) {
    this.#queue = queue;
  }

  static create(name: ObjectName): FreeQueue {
    return new FreeQueue(
      MessageQueue.create(name, { maxmsg: MESSAGES_MAX, msgsize: MESSAGE_BYTES, registered: false }),
    );
  }

  static open(name: ObjectName): FreeQueue {
    return new FreeQueue(MessageQueue.open(name));
  }

  /** Puts ids at the end. When the queue is full of messages they are merged into one that is there. */
  put(ids: readonly number[]): void {
    for (let from = 0; from < ids.length; from += PIECE_IDS) this.#putPiece(ids.slice(from, from + PIECE_IDS));
  }

  /** Fills an empty queue with long messages. */
  fill(ids: readonly number[]): void {
    for (let from = 0; from < ids.length; from += IDS_PER_MESSAGE) {
      this.#scratch.set(ids.slice(from, from + IDS_PER_MESSAGE));
      this.#send(Math.min(IDS_PER_MESSAGE, ids.length - from));
    }
  }

  /** The ids of the oldest message, of which at most `count` are taken; the rest goes back. Empty: none are there. */
  take(count: number): number[] {
    const ids = this.#receive();
    if (ids.length <= count) return ids;
    this.#scratch.set(ids.slice(count));
    this.#send(ids.length - count);
    return ids.slice(0, count);
  }

  /** Everything that is in it. */
  drain(): number[] {
    const all: number[] = [];
    for (let ids = this.#receive(); ids.length > 0; ids = this.#receive()) all.push(...ids);
    return all;
  }

  close(): void {
    this.#queue.close();
  }

  #putPiece(piece: readonly number[]): void {
    this.#scratch.set(piece);
    if (this.#queue.trySend(this.#scratchBytes.subarray(0, piece.length * 2))) return;
    for (let messages = 0; messages < MESSAGES_MAX; messages++) {
      const ids = this.#receive();
      const fits = ids.length + piece.length <= IDS_PER_MESSAGE;
      this.#scratch.set(ids);
      if (fits) this.#scratch.set(piece, ids.length);
      this.#send(ids.length + (fits ? piece.length : 0));
      if (fits) return;
    }
    throw new Error(`Cannot put ${piece.length} ids into the free queue: it holds more ids than the pool has segments`);
  }

  #receive(): number[] {
    const length = this.#queue.tryReceive(this.#scratchBytes);
    return length === undefined ? [] : Array.from(this.#scratch.subarray(0, length / 2));
  }

  #send(ids: number): void {
    if (this.#queue.trySend(this.#scratchBytes.subarray(0, ids * 2))) return;
    throw new Error("Cannot put ids back into the free queue: it is full although the pool's mutex is held");
  }
}
