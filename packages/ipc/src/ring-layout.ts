/**
 * A ring in a shared memory object: one writer, one reader, bytes in order. Integers are 32-bit, in the machine's own
 * byte order, and read and written atomically; offsets are from the start of the object. A word is written by one side
 * only, except `waits` and `asleep`, which the side that wakes takes back with compare-and-exchange.
 *
 *   offset  bytes  field
 *        0      4  magic         0x474e4952 ("RING" when little-endian), written last by the creator
 *        4      4  version       1
 *        8      4  capacity      bytes of data, a power of two, 64 to 2^30
 *       64     64  the writer    its end, as below; position counts the bytes written
 *      128     64  the reader    its end, as below; position counts the bytes read
 *      192     32  room          sem_t (pshared): posted by the reader for a writer that waits
 *      224     32  data          sem_t (pshared): posted by the writer for a reader that waits
 *      256      n  data          n = capacity; byte number i of the stream is at 256 + i modulo capacity
 *
 *   An end (offsets from its start):
 *        0      4  position      modulo 2^32: never reset, so that full (difference = capacity) differs from empty (0)
 *        4      4  state         0 nobody yet, 1 open, 2 closed: for the writer the end of the stream, for the reader: write no more
 *        8      4  tid           of the thread that holds this end (gettid), in its pid namespace; claimed from 0 by compare-and-exchange
 *       12      4  startTime     low 32 bits of field 22 of /proc/TID/stat, when the thread started; 0 not written yet
 *       16      4  pidNamespace  low 32 bits of the inode of /proc/self/ns/pid
 *       20      4  waits         1 while this end waits on its semaphore
 *       24      4  asleep        1 while this end's event loop sleeps by its doorbell, the FIFO NAME.writer or NAME.reader
 *
 * To write: copy at most capacity - (written - read) bytes, store the new position, then if the reader's `waits` is 1,
 * exchange it for 0 and post `data`. A reader that finds nothing sets `waits`, looks once more, and only then waits. (The
 * other direction is the same with `room`.) A peer that has no atomic exchange may post at every write instead: one post
 * too many only makes the other side look again.
 */
export const RING = {
  magic: 0,
  version: 4,
  capacity: 8,
  writer: 64,
  reader: 128,
  room: 192,
  data: 224,
  bytes: 256,
} as const;

/** Offsets within an end. */
export const END = { position: 0, state: 4, tid: 8, startTime: 12, pidNamespace: 16, waits: 20, asleep: 24 } as const;

export const STATE = { nobody: 0, open: 1, closed: 2 } as const;

export const RING_MAGIC = 0x474e4952;
export const RING_VERSION = 1;
export const CAPACITY_MIN = 64;
/** Positions are compared modulo 2^32, which needs a capacity of at most 2^31; 2^30 is the power of two that i32 holds. */
export const CAPACITY_MAX = 2 ** 30;

/** Whether a number can be a ring's capacity. */
export function isCapacity(bytes: number): boolean {
  return Number.isInteger(bytes) && bytes >= CAPACITY_MIN && bytes <= CAPACITY_MAX && (bytes & (bytes - 1)) === 0;
}
