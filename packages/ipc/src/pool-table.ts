import { type LockOutcome, Mutex } from "./mutex.ts";
import type { ObjectName } from "./object-name.ts";
import { UNREGISTERED } from "./segment.ts";
import { SegmentPoolError } from "./segment-pool-error.ts";
import { SharedMemory } from "./shared-memory.ts";
import type { ThreadIdentity } from "./thread-identity.ts";

const MAGIC = 0x4c4f_4f50; // "POOL"
const LAYOUT_VERSION = 1;

/** How many threads can be members at once. */
export const MEMBERS_MAX = 256;

/**
 * The table of a segment pool, PREFIX.pool. Integers are 32 bits in the machine's byte order, times and counts 64-bit
 * floating point. What is marked M changes only under the mutex; the other words change by atomic operations.
 *
 *   offset  bytes  field
 *        0      4  magic           "POOL"
 *        4      4  layoutVersion   1
 *        8      4  segments        1..2048
 *       12      4  segmentBytes
 *       16      4  ready        M  1 once the creator has finished, 2 once the names have been removed
 *       20      4  waiting      M  members that have a ticket
 *       24      4  lastTicket   M
 *       28      4  queued       M  ids in the free queue
 *       32      4  missing      M  ids without a segment, for want of memory
 *       36      4  replaced     M  segments made anew so far
 *       40     24  (reserved)
 *       64     64  mutex           a robust, process-shared pthread_mutex_t
 *      128     24  takes, giveBacks, refusedGiveBacks of members that have left (M)
 *      152     40  (reserved)
 *      192  256 x 64  a record for each member:
 *              0   4  state        M  0 free, 1 live, 2 evicted: its segments are being taken away
 *              4   4  life         M  which member of this slot it is; a number never comes back
 *              8   4  pid          M
 *             12   4  tid          M
 *             16   8  startTime    M  of the thread, in clock ticks since boot
 *             24   4  pidNamespace M
 *             28   4  ticket       M  its place among those who wait, 0 when it does not
 *             32   4  bellFlag        of its doorbell PREFIX.bell.SLOT
 *             36   4  stocked         how many ids it keeps ready; at least as many as have the state "stocked"
 *             40  24  takes, giveBacks, refusedGiveBacks: written by the member alone
 *    16576    4n  state of each id: 0 queued, 0xffffffff missing, else kind << 28 | slot << 20 | life & 0xfffff
 *                 with kind 1 held, 2 stocked (given back, kept by the member for its next take; anybody may steal it)
 *        +    4n  generation of each id's segment, from 1
 */
const FIELD = {
  magic: 0,
  layoutVersion: 1,
  segments: 2,
  segmentBytes: 3,
  ready: 4,
  waiting: 5,
  lastTicket: 6,
  queued: 7,
  missing: 8,
  replaced: 9,
} as const;
const READY = 1;
const UNLINKED = 2;
const MUTEX_OFFSET = 64;
const LEFT_COUNTERS_OFFSET = 128;
const RECORDS_OFFSET = 192;
const RECORD_BYTES = 64;
const RECORD = {
  state: 0,
  life: 1,
  pid: 2,
  tid: 3,
  startTime: 4,
  pidNamespace: 6,
  ticket: 7,
  bellFlag: 8,
  stocked: 9,
} as const;
const RECORD_COUNTERS_OFFSET = 40;
const STATES_OFFSET = RECORDS_OFFSET + MEMBERS_MAX * RECORD_BYTES;

export const QUEUED = 0;
export const MISSING = -1;
const HELD = 1;
const STOCKED = 2;
const LIFE_MASK = 0xf_ffff;

/** States of a member's record. */
export const FREE_SLOT = 0;
export const LIVE = 1;
export const EVICTED = 2;

/** Counters of one member, in the order of the record. */
export const COUNTER = { takes: 0, giveBacks: 1, refusedGiveBacks: 2 } as const;

/** The words of an id's state for one member. */
export interface Ownership {
  readonly held: number;
  readonly stocked: number;
}

export function ownership(slot: number, life: number): Ownership {
  const owner = (slot << 20) | (life & LIFE_MASK);
  return { held: (HELD << 28) | owner, stocked: (STOCKED << 28) | owner };
}

export function isStocked(state: number): boolean {
  return state >>> 28 === STOCKED;
}

export function isHeld(state: number): boolean {
  return state >>> 28 === HELD;
}

/** Length of a table. */
export function poolTableBytes(segments: number): number {
  return STATES_OFFSET + segments * 8;
}

/** The fields of a pool's table by name. Knows the layout and no policy. */
export class PoolTable {
  readonly memory: SharedMemory;
  readonly segments: number;
  readonly segmentBytes: number;
  readonly #mutex: Mutex;
  readonly #words: Int32Array;
  readonly #numbers: Float64Array;
  readonly #stateIndex: number;
  readonly #generationIndex: number;

  private constructor(memory: SharedMemory, mutex: Mutex) {
    this.memory = memory;
    this.#mutex = mutex;
    this.#words = memory.i32;
    this.#numbers = memory.f64;
    this.segments = this.#words[FIELD.segments]!;
    this.segmentBytes = this.#words[FIELD.segmentBytes]!;
    this.#stateIndex = STATES_OFFSET / 4;
    this.#generationIndex = this.#stateIndex + this.segments;
  }

  static create(name: ObjectName, segments: number, segmentBytes: number): PoolTable {
    const memory = SharedMemory.create(name, poolTableBytes(segments), UNREGISTERED);
    try {
      memory.i32[FIELD.magic] = MAGIC;
      memory.i32[FIELD.layoutVersion] = LAYOUT_VERSION;
      memory.i32[FIELD.segments] = segments;
      memory.i32[FIELD.segmentBytes] = segmentBytes;
      return new PoolTable(memory, Mutex.create(memory, MUTEX_OFFSET));
    } catch (error) {
      memory.unlink();
      memory.close();
      throw error;
    }
  }

  static open(name: ObjectName): PoolTable {
    const memory = SharedMemory.open(name);
    try {
      assertLayout(memory, name);
      return new PoolTable(memory, Mutex.at(memory, MUTEX_OFFSET));
    } catch (error) {
      memory.close();
      throw error;
    }
  }

  tryLock(): LockOutcome | undefined {
    return this.#mutex.tryLock();
  }

  lock(timeoutMs: number): LockOutcome | undefined {
    return this.#mutex.lock({ timeoutMs });
  }

  consistent(): void {
    this.#mutex.consistent();
  }

  unlock(): void {
    this.#mutex.unlock();
  }

  close(): void {
    this.#mutex.close();
    this.memory.close();
  }

  setReady(): void {
    Atomics.store(this.#words, FIELD.ready, READY);
  }

  /** From now on no object of the pool may be made: nobody would remove its name. Under the mutex. */
  setUnlinked(): void {
    Atomics.store(this.#words, FIELD.ready, UNLINKED);
  }

  get isUnlinked(): boolean {
    return Atomics.load(this.#words, FIELD.ready) === UNLINKED;
  }

  get waiting(): number {
    return Atomics.load(this.#words, FIELD.waiting);
  }

  set waiting(count: number) {
    Atomics.store(this.#words, FIELD.waiting, count);
  }

  get queued(): number {
    return Atomics.load(this.#words, FIELD.queued);
  }

  set queued(count: number) {
    Atomics.store(this.#words, FIELD.queued, count);
  }

  get missing(): number {
    return Atomics.load(this.#words, FIELD.missing);
  }

  set missing(count: number) {
    Atomics.store(this.#words, FIELD.missing, count);
  }

  get replaced(): number {
    return Atomics.load(this.#words, FIELD.replaced);
  }

  countReplaced(): void {
    Atomics.add(this.#words, FIELD.replaced, 1);
  }

  /** The next ticket; never 0. Under the mutex. */
  nextTicket(): number {
    const next = (this.#words[FIELD.lastTicket]! + 1) | 0 || 1;
    this.#words[FIELD.lastTicket] = next;
    return next;
  }

  /** Whether every id is in one of the states that there are: not so where somebody has scribbled over the table. */
  get isSound(): boolean {
    for (let id = 0; id < this.segments; id++) {
      const state = this.stateOf(id);
      if (state !== QUEUED && state !== MISSING && !isHeld(state) && !isStocked(state)) return false;
      if (this.generationOf(id) < 1) return false;
    }
    return true;
  }

  stateOf(id: number): number {
    return Atomics.load(this.#words, this.#stateIndex + id);
  }

  /** Changes an id's state if it is still `from`. */
  moveState(id: number, from: number, to: number): boolean {
    return Atomics.compareExchange(this.#words, this.#stateIndex + id, from, to) === from;
  }

  generationOf(id: number): number {
    return Atomics.load(this.#words, this.#generationIndex + id);
  }

  setGeneration(id: number, generation: number): void {
    Atomics.store(this.#words, this.#generationIndex + id, generation);
  }

  slotState(slot: number): number {
    return this.#record(slot, RECORD.state);
  }

  setSlotState(slot: number, state: number): void {
    this.#setRecord(slot, RECORD.state, state);
  }

  life(slot: number): number {
    return this.#record(slot, RECORD.life);
  }

  ticket(slot: number): number {
    return this.#record(slot, RECORD.ticket);
  }

  setTicket(slot: number, ticket: number): void {
    this.#setRecord(slot, RECORD.ticket, ticket);
  }

  stocked(slot: number): number {
    return this.#record(slot, RECORD.stocked);
  }

  setStocked(slot: number, count: number): void {
    this.#setRecord(slot, RECORD.stocked, count);
  }

  bellFlagOffset(slot: number): number {
    return RECORDS_OFFSET + slot * RECORD_BYTES + RECORD.bellFlag * 4;
  }

  threadOf(slot: number): ThreadIdentity {
    return {
      pid: this.#record(slot, RECORD.pid),
      tid: this.#record(slot, RECORD.tid),
      startTime: this.#numbers[(RECORDS_OFFSET + slot * RECORD_BYTES) / 8 + RECORD.startTime / 2]!,
      pidNamespace: this.#record(slot, RECORD.pidNamespace) >>> 0,
    };
  }

  /** Makes a free slot a live member's; returns its life. Under the mutex. */
  occupy(slot: number, thread: ThreadIdentity): number {
    const life = (this.life(slot) + 1) | 0;
    this.#setRecord(slot, RECORD.life, life);
    this.#setRecord(slot, RECORD.pid, thread.pid);
    this.#setRecord(slot, RECORD.tid, thread.tid);
    this.#numbers[(RECORDS_OFFSET + slot * RECORD_BYTES) / 8 + RECORD.startTime / 2] = thread.startTime;
    this.#setRecord(slot, RECORD.pidNamespace, thread.pidNamespace | 0);
    this.#setRecord(slot, RECORD.ticket, 0);
    this.#setRecord(slot, RECORD.bellFlag, 0);
    this.#setRecord(slot, RECORD.stocked, 0);
    this.setSlotState(slot, LIVE);
    return life;
  }

  /** Adds 1 to a counter. Only the member of the slot may. */
  count(slot: number, counter: number): void {
    const index = (RECORDS_OFFSET + slot * RECORD_BYTES + RECORD_COUNTERS_OFFSET) / 8 + counter;
    this.#numbers[index] = this.#numbers[index]! + 1;
  }

  /** A counter of the member that has the slot. */
  countOf(slot: number, counter: number): number {
    return this.#numbers[(RECORDS_OFFSET + slot * RECORD_BYTES + RECORD_COUNTERS_OFFSET) / 8 + counter]!;
  }

  /** A counter over all members, those who have left included. */
  total(counter: number): number {
    let total = this.#numbers[LEFT_COUNTERS_OFFSET / 8 + counter]!;
    for (let slot = 0; slot < MEMBERS_MAX; slot++) {
      total += this.countOf(slot, counter);
    }
    return total;
  }

  /** Makes a slot free, and its counters part of the total. Under the mutex. */
  vacate(slot: number): void {
    const from = (RECORDS_OFFSET + slot * RECORD_BYTES + RECORD_COUNTERS_OFFSET) / 8;
    for (let counter = 0; counter < 3; counter++) {
      const left = LEFT_COUNTERS_OFFSET / 8 + counter;
      this.#numbers[left] = this.#numbers[left]! + this.#numbers[from + counter]!;
      this.#numbers[from + counter] = 0;
    }
    this.setSlotState(slot, FREE_SLOT);
  }

  #record(slot: number, field: number): number {
    return Atomics.load(this.#words, (RECORDS_OFFSET + slot * RECORD_BYTES) / 4 + field);
  }

  #setRecord(slot: number, field: number, value: number): void {
    Atomics.store(this.#words, (RECORDS_OFFSET + slot * RECORD_BYTES) / 4 + field, value);
  }
}

/** What a segment of a pool is doing: in the free queue, kept ready by a member, held by one, or without memory. */
export type SegmentState = "queued" | "stocked" | "held" | "missing";

/** A pool as it stands at one moment. */
export interface PoolPicture {
  readonly segmentBytes: number;
  /** Of each segment, by its id. */
  readonly states: readonly SegmentState[];
  /** Members (threads) that wait for a segment. */
  readonly waiting: number;
  /** Segments made anew so far. */
  readonly replaced: number;
}

/** Reads a copy of a table. Undefined when it is not finished, or of another layout. */
export function readPoolPicture(words: Int32Array): PoolPicture | undefined {
  const segments = words[FIELD.segments] ?? 0;
  const isTable = words[FIELD.magic] === MAGIC && words[FIELD.layoutVersion] === LAYOUT_VERSION;
  if (!isTable || words[FIELD.ready] === 0 || words.byteLength !== poolTableBytes(segments)) return undefined;
  const stateOf = (id: number): SegmentState => {
    const state = words[STATES_OFFSET / 4 + id]!;
    if (state === QUEUED) return "queued";
    if (state === MISSING) return "missing";
    return isHeld(state) ? "held" : "stocked";
  };
  return {
    segmentBytes: words[FIELD.segmentBytes]!,
    states: Array.from({ length: segments }, (_, id) => stateOf(id)),
    waiting: words[FIELD.waiting]!,
    replaced: words[FIELD.replaced]!,
  };
}

function assertLayout(memory: SharedMemory, name: ObjectName): void {
  const words = memory.i32;
  const fault = (why: string): never => {
    throw new SegmentPoolError("ERR_IPC_POOL_LAYOUT", `Cannot open segment pool table ${name}: ${why}`);
  };
  if (memory.length < STATES_OFFSET) fault(`it has ${memory.length} bytes, a table at least ${STATES_OFFSET}`);
  if (Atomics.load(words, FIELD.ready) === 0) {
    throw new SegmentPoolError(
      "ERR_IPC_POOL_NOT_READY",
      `Cannot open segment pool table ${name}: its creator is still making it`,
    );
  }
  if (words[FIELD.magic] !== MAGIC) fault("it is not a segment pool");
  if (words[FIELD.layoutVersion] !== LAYOUT_VERSION) {
    fault(`it has layout version ${words[FIELD.layoutVersion]}, this program speaks ${LAYOUT_VERSION}`);
  }
  const bytes = poolTableBytes(words[FIELD.segments]!);
  if (memory.length !== bytes)
    fault(`it has ${memory.length} bytes where ${words[FIELD.segments]} segments make ${bytes}`);
}
