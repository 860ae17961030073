import type { Room } from "./block-list.ts";

/** How far one body may run ahead of its slowest reader while all of them together are few. */
const AHEAD_BYTES = 1024 * 1024;
/** And once they are not: enough for the next portion to be there, so that a reader that reads does not wait for the origin's next packet each time. */
const AHEAD_BYTES_MIN = 64 * 1024;
/** All bodies of a shard together may have so much before each has to do with the least: readers that read nothing have theirs for as long as they like. */
const AMPLE_BYTES = 8 * 1024 * 1024;
/** What is held back for a GETFILE client, which has to be told the length first: of one body, and where there is so much of all that only small ones may be. */
const HELD_BACK_BYTES_MAX = 16 * 1024 * 1024;
const HELD_BACK_ALL_BYTES_MAX = 64 * 1024 * 1024;

/**
 * Memory of bodies that only pass through a shard and are not kept. No tier's limit counts it, and no write is refused any: the origin is not read on where a body has run far enough ahead of its
 * readers, which is not as far when there are many that stand still.
 */
export class WindowRoom implements Room {
  #usedBytes = 0;

  get usedBytes(): number {
    return this.#usedBytes;
  }

  take(bytes: number): true {
    this.#usedBytes += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#usedBytes -= bytes;
  }

  /** How far a body may run ahead of its slowest reader, in bytes. */
  get aheadBytesMax(): number {
    return this.#usedBytes > AMPLE_BYTES ? AHEAD_BYTES_MIN : AHEAD_BYTES;
  }

  /** Whether a body of which so much has come may be held back further. */
  mayHoldBack(bytes: number): boolean {
    return bytes <= (this.#usedBytes > HELD_BACK_ALL_BYTES_MAX ? AHEAD_BYTES : HELD_BACK_BYTES_MAX);
  }
}
