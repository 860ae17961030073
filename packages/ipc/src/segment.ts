import { type ObjectName, objectName } from "./object-name.ts";
import { initSemaphore, Semaphore } from "./semaphore.ts";
import { createUnmapped, SharedMemory } from "./shared-memory.ts";

/**
 * A segment begins with what belongs to the pool; users' bytes follow.
 *
 *   offset  bytes  field
 *        0     32  semaphore   a process-shared sem_t
 *       32      4  magic       "SEGM"
 *       36      4  id
 *       40      4  generation
 *       44     20  (reserved)
 *       64         users' bytes
 */
export const SEGMENT_PREFIX_BYTES = 64;
const MAGIC = 0x4d47_4553; // "SEGM"
const FIELD = { magic: 8, id: 9, generation: 10 } as const;

const head = new Int32Array(new ArrayBuffer(SEGMENT_PREFIX_BYTES));
const headBytes = new Uint8Array(head.buffer);

/** One shared memory object of a pool and its mapping. */
export interface Segment {
  /** 0 to one less than the pool's number of segments. */
  readonly id: number;
  /** Which object of this id it is: a replaced segment goes on under the next generation. */
  readonly generation: number;
  readonly memory: SharedMemory;
  /** All its bytes, the pool's {@link SEGMENT_PREFIX_BYTES} included. */
  readonly bytes: Uint8Array;
  readonly i32: Int32Array;
  /** At offset 0 of the segment. Its value is whatever the last user left: reset it before handing the segment over. */
  readonly semaphore: Semaphore;
}

/** The registry has one entry for the whole pool. */
export const UNREGISTERED = { registered: false } as const;

/** A mapped segment; closing it unmaps. */
export class MappedSegment implements Segment {
  readonly id: number;
  readonly generation: number;
  readonly memory: SharedMemory;
  readonly semaphore: Semaphore;

  private constructor(id: number, generation: number, memory: SharedMemory) {
    this.id = id;
    this.generation = generation;
    this.memory = memory;
    this.semaphore = Semaphore.at(memory, 0);
  }

  /** @throws {SystemCallError} `ENOENT`: this generation has been replaced. */
  static open(prefix: ObjectName, id: number, generation: number): MappedSegment {
    return new MappedSegment(id, generation, SharedMemory.open(segmentName(prefix, id, generation)));
  }

  get bytes(): Uint8Array {
    return this.memory.bytes;
  }

  get i32(): Int32Array {
    return this.memory.i32;
  }

  close(): void {
    this.memory.close();
  }
}

/** Makes the object of this generation, in place of a half-made one that a crash may have left under its name. */
export function createSegment(prefix: ObjectName, id: number, generation: number, segmentBytes: number): void {
  const name = segmentName(prefix, id, generation);
  SharedMemory.unlink(name, UNREGISTERED);
  head[FIELD.magic] = MAGIC;
  head[FIELD.id] = id;
  head[FIELD.generation] = generation;
  initSemaphore(headBytes, 0); // a sem_t holds no address, so it may be made here and written there
  createUnmapped(name, segmentBytes, headBytes);
}

export function segmentName(prefix: ObjectName, id: number, generation: number): ObjectName {
  return objectName(`${prefix}.seg.${id}.${generation}`);
}
