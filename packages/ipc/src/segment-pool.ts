import { poolFiles, sharedMemoryFiles } from "./cleanup-objects.ts";
import { SystemCallError } from "./errno.ts";
import { FREE_QUEUE_IDS_MAX, FreeQueue } from "./free-queue.ts";
import { MessageQueue } from "./message-queue.ts";
import { type ObjectName, objectName } from "./object-name.ts";
import { PoolCore } from "./pool-core.ts";
import { PoolMember } from "./pool-member.ts";
import {
  COUNTER,
  FREE_SLOT,
  MEMBERS_MAX,
  type PoolPicture,
  PoolTable,
  poolTableBytes,
  readPoolPicture,
} from "./pool-table.ts";
import { recorded, recordRemoval, recordTakeOver } from "./registry.ts";
import { createSegment, SEGMENT_PREFIX_BYTES, type Segment, segmentName, UNREGISTERED } from "./segment.ts";
import { SegmentPoolError } from "./segment-pool-error.ts";
import { isWhole, SharedMemory } from "./shared-memory.ts";
import { SharedMemoryCopy } from "./shared-memory-copy.ts";

const FIRST_GENERATION = 1;
const GENERATION_MAX = 2 ** 31 - 1;

/** Longest wait for the mutex, which is held for microseconds unless its owner is stopped or starved. */
const LOCK_TIMEOUT_MS = 1000;

/** What a pool has done and holds; see {@link SegmentPool.counters}. */
export interface SegmentPoolCounters {
  /** Segments nobody holds. */
  readonly free: number;
  readonly held: number;
  /** Members (threads) that wait for a segment. */
  readonly waiting: number;
  readonly takes: number;
  readonly giveBacks: number;
  readonly refusedGiveBacks: number;
  /** Segments made anew: by {@link PoolMember.replace}, or because their holder died. */
  readonly replaced: number;
  /** Segments that could not be made anew for want of memory. They come back when there is some. */
  readonly missing: number;
}

/**
 * Segments of shared memory with ids in a free queue, between threads and processes. A thread joins, takes a segment,
 * fills it, tells another process its id and generation, and gives it back when that one has answered.
 *
 * Nothing is lost when a process dies anywhere: the segments it held are made anew, so that a late writer reaches only
 * memory that nobody else sees, and their ids are queued again, never twice.
 *
 * The objects of pool PREFIX: `PREFIX.pool` (the table), `PREFIX.free` (the queue), `PREFIX.seg.ID.GENERATION`, and
 * `PREFIX.bell.SLOT` for a member that has waited. One SegmentPool object belongs to one thread.
 */
export class SegmentPool implements Disposable {
  readonly prefix: ObjectName;
  readonly segments: number;
  readonly segmentBytes: number;
  readonly #core: PoolCore;
  readonly #members: PoolMember[] = [];
  #closed = false;

  private constructor(prefix: ObjectName, core: PoolCore) {
    this.prefix = prefix;
    this.#core = core;
    this.segments = core.table.segments;
    this.segmentBytes = core.table.segmentBytes;
  }

  /**
   * Makes a pool and all its segments, with their memory allocated. Whoever creates it has to
   * {@link SegmentPool.unlink | unlink} it. When anything fails nothing is left.
   *
   * @param prefix Every object's name begins with it; at most 232 bytes.
   * @param options.segments 1 to 2,048.
   * @param options.segmentBytes Size of each, {@link SEGMENT_PREFIX_BYTES} of them the pool's own.
   * @throws {SystemCallError} `EEXIST`: there is a pool of this prefix, perhaps what a crash left: see
   *   {@link SegmentPool.unlinkAll}. `ENOSPC`: /dev/shm has no room for all segments. `EMFILE`: RLIMIT_MSGQUEUE.
   * @example
   * using pool = SegmentPool.create(objectName("/my-app.pool"), { segments: 64, segmentBytes: 262144 });
   * using member = pool.join();
   * const segment = await member.take({ timeoutMs: 1000 });
   */
  static create(prefix: ObjectName, options: { segments: number; segmentBytes: number }): SegmentPool {
    const { segments, segmentBytes } = options;
    assertSize("segments", segments, 1, FREE_QUEUE_IDS_MAX);
    assertSize("segmentBytes", segmentBytes, SEGMENT_PREFIX_BYTES, 2 ** 31 - 1);
    segmentName(prefix, segments, GENERATION_MAX); // refuses a prefix that is too long before anything is made
    return recorded("pool", prefix, () => SegmentPool.#create(prefix, segments, segmentBytes));
  }

  static #create(prefix: ObjectName, segments: number, segmentBytes: number): SegmentPool {
    const undo: Array<() => void> = [];
    try {
      const table = PoolTable.create(tableName(prefix), segments, segmentBytes);
      undo.push(
        () => table.close(),
        () => table.memory.unlink(),
      );
      const queue = FreeQueue.create(queueName(prefix));
      undo.push(
        () => queue.close(),
        () => MessageQueue.unlink(queueName(prefix), UNREGISTERED),
      );
      for (let id = 0; id < segments; id++) {
        createSegment(prefix, id, FIRST_GENERATION, segmentBytes);
        undo.push(() => SharedMemory.unlink(segmentName(prefix, id, FIRST_GENERATION), UNREGISTERED));
        table.setGeneration(id, FIRST_GENERATION);
      }
      const core = new PoolCore(prefix, table, queue);
      core.exclusivelyOrThrow(() => core.fill(), LOCK_TIMEOUT_MS);
      table.setReady();
      return new SegmentPool(prefix, core);
    } catch (error) {
      for (const step of undo.reverse()) step();
      throw error;
    }
  }

  /** What {@link SegmentPool.create} takes of /dev/shm: the length of each object. */
  static lengths({ segments, segmentBytes }: { segments: number; segmentBytes: number }): number[] {
    return [poolTableBytes(segments), ...Array.from({ length: segments }, () => segmentBytes)];
  }

  /**
   * Takes over a pool that processes which have all died have left, for where there may be no memory for another one. What nobody held goes on as it is; what
   * was held is made anew, as far as there is memory for it: see {@link SegmentPool.reclaim}. Whoever was a member is none any more.
   *
   * @param options What {@link SegmentPool.create} would be given.
   * @returns undefined: there is none, of this size and in a state that it can be in. What there is stays.
   */
  static takeOver(prefix: ObjectName, options: { segments: number; segmentBytes: number }): SegmentPool | undefined {
    if (!isWhole(tableName(prefix), poolTableBytes(options.segments))) return undefined;
    let pool: SegmentPool | undefined;
    try {
      pool = SegmentPool.open(prefix);
      if (pool.#beginAnew(options)) return pool;
    } catch (error) {
      if (!(error instanceof SystemCallError || error instanceof SegmentPoolError)) throw error;
    }
    pool?.close();
    return undefined;
  }

  /**
   * Opens a pool that another thread or process has made.
   *
   * @throws {SystemCallError} `ENOENT`: there is none, or it has been unlinked.
   * @throws {SegmentPoolError} `ERR_IPC_POOL_NOT_READY`: its creator is still making it. `ERR_IPC_POOL_LAYOUT`: it is of
   *   another version.
   */
  static open(prefix: ObjectName): SegmentPool {
    const table = PoolTable.open(tableName(prefix));
    let queue: FreeQueue | undefined;
    try {
      queue = FreeQueue.open(queueName(prefix));
      return new SegmentPool(prefix, new PoolCore(prefix, table, queue));
    } catch (error) {
      queue?.close();
      table.close();
      throw error;
    }
  }

  /**
   * What the segments of a pool are doing, for whoever only looks: no membership, no lock, nothing written; the processes may hang or be dead. What is read
   * is from some moments during the call, a word at a time.
   *
   * @returns undefined: there is no such pool, it is not finished, or it is another user's.
   */
  static picture(prefix: ObjectName): PoolPicture | undefined {
    using table = SharedMemoryCopy.open(tableName(prefix));
    return table === undefined ? undefined : readPoolPicture(table.i32);
  }

  /**
   * Removes the names of every object of a pool, of all its generations. After a crash; those who still have it open are
   * kept from making new ones.
   */
  static unlinkAll(prefix: ObjectName): void {
    let pool: SegmentPool | undefined;
    try {
      pool = SegmentPool.open(prefix);
      pool.unlink();
    } catch (error) {
      // No table, a half-made one, no queue: whatever there is has names.
      if (!(error instanceof SystemCallError || error instanceof SegmentPoolError)) throw error;
      unlinkNames(prefix);
    } finally {
      pool?.close();
    }
  }

  /**
   * Makes this thread a member, who can take segments. A thread needs one membership; each lasts until it is closed, or
   * until the thread has ended and somebody reclaims. A member that has waited keeps its process alive until it is closed.
   * A Worker that is terminated without closing its pool leaves the pool's descriptors open in its process.
   *
   * @throws {SegmentPoolError} `ERR_IPC_POOL_FULL`: 256 members live. `ERR_IPC_POOL_BUSY`: the mutex stays taken.
   */
  join(): PoolMember {
    this.#assertOpen();
    let member = this.#joinFreeSlot();
    if (member === undefined && this.reclaim() >= 0) member = this.#joinFreeSlot();
    if (member !== undefined) return member;
    throw new SegmentPoolError(
      "ERR_IPC_POOL_FULL",
      `Cannot join segment pool ${this.prefix}: it has ${MEMBERS_MAX} members`,
    );
  }

  /**
   * Maps a segment that somebody else holds and has told us of. The mapping is kept and found again; when its generation
   * has been replaced it is closed.
   *
   * @returns undefined: no such id, or its generation has been replaced since.
   * @throws {SystemCallError} It could not be mapped: `EMFILE`, `ENFILE`, `ENOMEM`.
   */
  segment(id: number, generation: number): Segment | undefined {
    this.#assertOpen();
    return this.#core.mappingOfGeneration(id, generation);
  }

  /** Makes segments that there was no memory for, if there is some now. Costs nothing where none is missing; does nothing while somebody else is inside the pool. */
  restoreMissing(): void {
    this.#assertOpen();
    if (this.#core.table.missing === 0) return;
    this.#core.exclusively(() => this.#core.restoreMissing());
    this.#core.wake();
  }

  /**
   * Gets back the segments of members whose threads have died (told by process id, thread id and start time: a reused id
   * fools nobody), and makes segments that there was no memory for. Members that wait do this by themselves 4 times a
   * second.
   *
   * @returns How many segments came back from the dead.
   * @throws {SegmentPoolError} `ERR_IPC_POOL_BUSY`: the mutex stays taken.
   */
  reclaim(): number {
    this.#assertOpen();
    let reclaimed = 0;
    for (const { slot, life } of this.#core.deadMembers()) reclaimed += this.#evict(slot, life);
    this.#core.exclusivelyOrThrow(() => this.#core.restoreMissing(), LOCK_TIMEOUT_MS);
    this.#core.wake();
    return reclaimed;
  }

  /**
   * The same for one member, dead or alive, whom the caller knows to be gone (a Worker that crashed). A living one finds
   * its membership ended: `ERR_IPC_EVICTED`.
   *
   * @param slot The member's {@link PoolMember.slot}.
   * @throws {RangeError} There is no such slot.
   */
  reclaimMember(slot: number): number {
    this.#assertOpen();
    if (!Number.isInteger(slot) || slot < 0 || slot >= MEMBERS_MAX) {
      throw new RangeError(`Cannot reclaim member ${slot} of ${this.prefix}: slots are 0 to ${MEMBERS_MAX - 1}`);
    }
    if (this.#core.table.slotState(slot) === FREE_SLOT) return 0;
    return this.#evict(slot, this.#core.table.life(slot));
  }

  /** What the pool has done and holds at some moment during the call; 10 µs for 1,024 segments. */
  counters(): SegmentPoolCounters {
    this.#assertOpen();
    const { table } = this.#core;
    return {
      ...this.#core.countStates(),
      waiting: table.waiting,
      takes: table.total(COUNTER.takes),
      giveBacks: table.total(COUNTER.giveBacks),
      refusedGiveBacks: table.total(COUNTER.refusedGiveBacks),
      replaced: table.replaced,
      missing: table.missing,
    };
  }

  /**
   * Removes the names of all its objects. Those who have it open can go on with the segments they have mapped; no new
   * ones are made. Twice is no error.
   */
  unlink(): void {
    this.#assertOpen();
    const unlinkAndSay = (): void => {
      this.#core.table.setUnlinked();
      unlinkNames(this.prefix);
    };
    // Whoever is stopped in the pool's mutex can not keep its names alive.
    if (!this.#core.exclusively(unlinkAndSay, LOCK_TIMEOUT_MS)) unlinkAndSay();
  }

  /** Closes the members joined through it, unmaps everything, closes the queue. Nothing is unlinked. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      for (const member of this.#members) member.close();
    } finally {
      this.#core.close();
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #beginAnew({ segments, segmentBytes }: { segments: number; segmentBytes: number }): boolean {
    const { table } = this.#core;
    const isAsked = this.segments === segments && this.segmentBytes === segmentBytes;
    if (!isAsked || table.isUnlinked || !table.isSound) return false;
    this.#core.exclusivelyOrThrow(() => this.#core.beginAnew(), LOCK_TIMEOUT_MS);
    recordTakeOver("pool", this.prefix);
    return true;
  }

  #joinFreeSlot(): PoolMember | undefined {
    let member: PoolMember | undefined;
    this.#core.exclusivelyOrThrow(() => {
      for (let slot = 0; slot < MEMBERS_MAX; slot++) {
        if (this.#core.table.slotState(slot) !== FREE_SLOT) continue;
        member = new PoolMember(this.#core, slot, this.#core.table.occupy(slot, this.#core.thread));
        return;
      }
    }, LOCK_TIMEOUT_MS);
    if (member !== undefined) this.#members.push(member);
    return member;
  }

  #evict(slot: number, life: number): number {
    const reclaimed = this.#core.evict(slot, life, LOCK_TIMEOUT_MS);
    if (reclaimed !== undefined) return reclaimed;
    throw new SegmentPoolError(
      "ERR_IPC_POOL_BUSY",
      `Cannot reclaim member ${slot} of ${this.prefix}: the mutex stays taken`,
    );
  }

  #assertOpen(): void {
    if (this.#closed) throw new Error(`Cannot use segment pool ${this.prefix}: it has been closed`);
  }
}

function unlinkNames(prefix: ObjectName): void {
  MessageQueue.unlink(queueName(prefix), UNREGISTERED);
  SharedMemory.unlink(tableName(prefix), UNREGISTERED); // whatever it is: a symbolic link is no file, and in the way
  for (const file of poolFiles(prefix, sharedMemoryFiles())) SharedMemory.unlink(objectName(`/${file}`), UNREGISTERED);
  recordRemoval("pool", prefix);
}

function tableName(prefix: ObjectName): ObjectName {
  return objectName(`${prefix}.pool`);
}

function queueName(prefix: ObjectName): ObjectName {
  return objectName(`${prefix}.free`);
}

function assertSize(what: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new RangeError(
    `Cannot make a segment pool with ${what} = ${value}: it must be an integer from ${least} to ${most}`,
  );
}
