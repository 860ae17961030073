import { after, assertTimeout } from "./deadline.ts";
import { Doorbell } from "./doorbell.ts";
import { SystemCallError } from "./errno.ts";
import { bellName, type PoolCore } from "./pool-core.ts";
import { COUNTER, LIVE, type Ownership, ownership } from "./pool-table.ts";
import type { MappedSegment, Segment } from "./segment.ts";
import { SegmentPoolError } from "./segment-pool-error.ts";
import type { Semaphore } from "./semaphore.ts";
import type { SharedMemory } from "./shared-memory.ts";

/** A pool of so many segments for each id a member may keep ready; small pools keep none. */
const SEGMENTS_PER_STOCKED = 16;
const STOCK_MAX = 8;

/** How long leaving may wait for the mutex, which is held for microseconds unless its owner is stopped. */
const LEAVE_TIMEOUT_MS = 1000;
const RETRY_MS = 1;
const RECLAIM_MS = 250;

/** What a take hands out: valid for one take, so that a second give-back is told from the next holder's first. */
class Lease implements Segment {
  readonly mapped: MappedSegment;

  constructor(mapped: MappedSegment) {
    this.mapped = mapped;
  }

  get id(): number {
    return this.mapped.id;
  }

  get generation(): number {
    return this.mapped.generation;
  }

  get memory(): SharedMemory {
    return this.mapped.memory;
  }

  get bytes(): Uint8Array {
    return this.mapped.memory.bytes;
  }

  get i32(): Int32Array {
    return this.mapped.memory.i32;
  }

  get semaphore(): Semaphore {
    return this.mapped.semaphore;
  }
}

interface Waiter {
  settle(outcome: { segment: Segment | undefined } | { error: unknown }): void;
}

/**
 * A thread that takes segments from a pool. The common take and give-back are a few atomic operations: a member keeps
 * some ids ready for itself, which others may steal when the queue is empty.
 */
export class PoolMember implements Disposable {
  /** Its place in the pool's table, for {@link SegmentPool.reclaimMember}. */
  readonly slot: number;
  readonly #core: PoolCore;
  readonly #life: number;
  readonly #owner: Ownership;
  readonly #stockMax: number;
  readonly #leases: Array<Lease | undefined> = [];
  readonly #stock: number[] = [];
  readonly #toReplace: number[] = [];
  readonly #waiters: Waiter[] = [];
  #bell: Doorbell | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #reclaimer: ReturnType<typeof setInterval> | undefined;
  #evicted = false;
  #closed = false;

  /** Not for users: see {@link SegmentPool.join}. */
  constructor(core: PoolCore, slot: number, life: number) {
    this.#core = core;
    this.slot = slot;
    this.#life = life;
    this.#owner = ownership(slot, life);
    this.#stockMax = Math.min(STOCK_MAX, Math.floor(core.table.segments / SEGMENTS_PER_STOCKED));
  }

  /** Whether somebody, in any thread, waits for a segment right now. An atomic load. */
  get contended(): boolean {
    return this.#core.table.waiting > 0;
  }

  /** Segments that this member holds now. */
  get held(): number {
    return this.#leases.reduce((count, lease) => (lease === undefined ? count : count + 1), 0);
  }

  /** Times that it was to give back what it did not hold, which was refused: 0, unless its owner has lost count. */
  get refusedGiveBacks(): number {
    return this.#core.table.countOf(this.slot, COUNTER.refusedGiveBacks);
  }

  /**
   * A segment, if one is free and nobody waits for it. Never waits. Also undefined, rarely, when another thread is just
   * then inside the pool.
   *
   * @throws {SegmentPoolError} `ERR_IPC_EVICTED`: the pool took this thread for dead.
   * @throws {SystemCallError} The segment could not be mapped: `EMFILE`, `ENFILE`, `ENOMEM`. It stays in the pool.
   */
  tryTake(): Segment | undefined {
    this.#assertMember();
    if (this.#waiters.length > 0) return undefined;
    return (this.contended ? undefined : this.#takeFromStock()) ?? this.#takeFromQueue();
  }

  /**
   * A segment, as soon as it is this call's turn: calls of one member are served in their order, and members take turns.
   *
   * @returns undefined when `timeoutMs` have passed. Without `timeoutMs` it waits until there is one.
   * @throws {SegmentPoolError} `ERR_IPC_EVICTED`: the pool took this thread for dead.
   * @throws The signal's reason once it is aborted; an Error when the member is closed meanwhile.
   */
  take(options: { timeoutMs?: number; signal?: AbortSignal } = {}): Promise<Segment | undefined> {
    const { timeoutMs = Number.POSITIVE_INFINITY, signal } = options;
    try {
      assertTimeout(timeoutMs);
      signal?.throwIfAborted();
      const segment = this.tryTake();
      if (segment !== undefined || timeoutMs <= 0) return Promise.resolve(segment);
      this.#openBell();
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#wait(timeoutMs, signal);
  }

  /**
   * Gives a segment back. Nobody may write into it any more; for one that somebody may still write into see
   * {@link PoolMember.replace}.
   *
   * @throws {SegmentPoolError} `ERR_IPC_NOT_HELD`: it has been given back already, or another member's. Nothing changes.
   */
  giveBack(segment: Segment): void {
    const id = this.#surrender(segment);
    if (!this.#keep(id)) throw this.#refusal(segment);
    this.#core.table.count(this.slot, COUNTER.giveBacks);
    // The state word was changed before `waiting` is read: a thread that begins to wait meanwhile finds this id itself.
    if (this.#stock.length > 2 * this.#stockMax || this.contended || this.#stockMax === 0) this.#settle();
  }

  /**
   * Gives back a segment that a late writer may still hold: the object is unlinked and a new one made under the next
   * generation, so that the writer can only reach memory that nobody else sees.
   *
   * @throws {SegmentPoolError} `ERR_IPC_NOT_HELD`, as for {@link PoolMember.giveBack}.
   */
  replace(segment: Segment): void {
    const id = this.#surrender(segment);
    this.#core.table.count(this.slot, COUNTER.giveBacks);
    this.#toReplace.push(id);
    this.#settle();
  }

  /**
   * Leaves the pool. What is still held is replaced, as {@link PoolMember.replace} does, and pending takes are refused.
   *
   * @throws {SegmentPoolError} `ERR_IPC_POOL_BUSY`: somebody has kept the mutex for a second. The segments then come back
   *   when this thread has ended and somebody reclaims.
   */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#retry);
    clearInterval(this.#reclaimer);
    this.#refuseWaiters(new Error(`Cannot take a segment of ${this.#core.prefix}: this member has been closed`));
    this.#closeBell();
    this.#core.exclusivelyOrThrow(() => {
      if (!this.#isMember()) return;
      this.#core.leaveLine(this.slot);
      for (let id = 0; id < this.#core.table.segments; id++) {
        const state = this.#core.table.stateOf(id);
        if (state === this.#owner.held) this.#core.replaceAndQueue(id, state);
        else if (state === this.#owner.stocked) this.#core.enqueue([id], state);
      }
      this.#core.vacate(this.slot);
    }, LEAVE_TIMEOUT_MS);
    this.#core.wake();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #takeFromStock(): Segment | undefined {
    for (let id = this.#stock.pop(); id !== undefined; id = this.#stock.pop()) {
      const isStill = this.#core.table.moveState(id, this.#owner.stocked, this.#owner.held);
      this.#core.table.setStocked(this.slot, this.#stock.length);
      if (isStill) return this.#lease(id);
    }
    return undefined;
  }

  #takeFromQueue(): Segment | undefined {
    let ids: number[] = [];
    this.#core.exclusively(() => {
      if (!this.#isMember()) return;
      ids = this.#claim(this.contended ? 0 : this.#stockMax);
    });
    this.#assertMember();
    const id = ids[0];
    return id === undefined ? undefined : this.#lease(id);
  }

  /** Under the mutex. */
  #claim(extra: number): number[] {
    const { table } = this.#core;
    table.setStocked(this.slot, this.#stock.length + extra); // before the first id says "stocked"
    const ids = this.#core.claim(this.#owner, this.#core.aheadOf(table.ticket(this.slot)), extra);
    this.#stock.push(...ids.slice(1));
    table.setStocked(this.slot, this.#stock.length);
    return ids;
  }

  #lease(id: number): Segment {
    let mapped: MappedSegment;
    try {
      mapped = this.#core.mappingOf(id);
    } catch (error) {
      this.#abandon(id, error);
      throw error;
    }
    const lease = new Lease(mapped);
    this.#leases[id] = lease;
    this.#core.table.count(this.slot, COUNTER.takes);
    return lease;
  }

  /** An id that was taken but can not be mapped: without an object it gets a new one, otherwise it is given back. */
  #abandon(id: number, error: unknown): void {
    if (error instanceof SystemCallError && error.code === "ENOENT") {
      this.#toReplace.push(id);
    } else {
      this.#keep(id);
    }
    this.#retrySoon();
  }

  /** Keeps a held id ready for the next take; false when it is not held (any more). */
  #keep(id: number): boolean {
    this.#stock.push(id);
    this.#core.table.setStocked(this.slot, this.#stock.length);
    return this.#core.table.moveState(id, this.#owner.held, this.#owner.stocked);
  }

  #surrender(segment: Segment): number {
    if (this.#closed)
      throw new Error(`Cannot give a segment back to ${this.#core.prefix}: this member has been closed`);
    const { id } = segment;
    const isHeld = this.#leases[id] === segment && this.#core.table.stateOf(id) === this.#owner.held;
    if (!isHeld) throw this.#refusal(segment);
    this.#leases[id] = undefined;
    return id;
  }

  #refusal(segment: Segment): SegmentPoolError {
    this.#core.table.count(this.slot, COUNTER.refusedGiveBacks);
    return new SegmentPoolError(
      "ERR_IPC_NOT_HELD",
      `Cannot give back segment ${segment.id} of ${this.#core.prefix}: member ${this.slot} does not hold it (any more); was it given back twice?`,
    );
  }

  #wait(timeoutMs: number, signal: AbortSignal | undefined): Promise<Segment | undefined> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        settle: (outcome) => {
          cancelTimer();
          signal?.removeEventListener("abort", abort);
          if ("error" in outcome) reject(outcome.error);
          else resolve(outcome.segment);
        },
      };
      const leave = (outcome: Parameters<Waiter["settle"]>[0]): void => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        waiter.settle(outcome);
        if (this.#waiters.length === 0) this.#settle(); // gives up its place in the line
      };
      const abort = (): void => leave({ error: signal?.reason });
      signal?.addEventListener("abort", abort, { once: true });
      const cancelTimer = after(timeoutMs, () => leave({ segment: undefined }));
      this.#waiters.push(waiter);
      // While somebody waits, somebody looks for members that died with what they held.
      this.#reclaimer ??= setInterval(() => this.#reclaim(), RECLAIM_MS);
      this.#settle();
    });
  }

  #openBell(): void {
    if (this.#bell !== undefined) return;
    if (this.#core.table.isUnlinked) {
      const message = `Cannot wait for a segment of ${this.#core.prefix}: the pool has been unlinked`;
      throw new SegmentPoolError("ERR_IPC_POOL_UNLINKED", message);
    }
    const flag = { memory: this.#core.table.memory, offset: this.#core.table.bellFlagOffset(this.slot) };
    const name = bellName(this.#core.prefix, this.slot);
    Doorbell.unlink(name); // the slot is ours: a bell there was a dead member's
    this.#bell = Doorbell.listen({ name, flag, look: () => this.#settle(), registered: false });
    this.#core.bells.set(this.slot, this.#bell);
  }

  #closeBell(): void {
    if (this.#core.bells.get(this.slot) === this.#bell) this.#core.bells.delete(this.slot);
    this.#bell?.close();
    this.#bell = undefined;
  }

  /**
   * Everything that needs the mutex, in one critical section: replaces what is to be replaced, queues what is kept in
   * excess (all, while somebody waits), serves this member's waiters or takes and gives up its place in the line.
   *
   * @returns Whether a waiter was served. When the mutex is taken it all happens a little later.
   */
  #settle(): boolean {
    if (this.#closed) return false;
    const served: Array<{ waiter: Waiter; id: number }> = [];
    const entered = this.#core.exclusively(() => {
      if (!this.#isMember()) return;
      for (let id = this.#toReplace.pop(); id !== undefined; id = this.#toReplace.pop()) {
        this.#core.replaceAndQueue(id, this.#owner.held);
      }
      this.#queueExcess();
      this.#serve(served);
    });
    if (!entered) this.#retrySoon();
    if (this.#evicted) {
      this.#refuseWaiters(this.#eviction());
      this.#closeBell(); // its flag is the next member's
    }
    if (this.#waiters.length === 0) this.#stopReclaiming();
    for (const { waiter, id } of served) this.#hand(waiter, id);
    this.#core.wake(this.slot);
    return served.length > 0;
  }

  /** Under the mutex. */
  #queueExcess(): void {
    const keep = this.contended || this.#waiters.length > 0 ? 0 : this.#stockMax;
    if (this.#stock.length > keep) {
      this.#core.enqueue(this.#stock.splice(0, this.#stock.length - keep), this.#owner.stocked);
    }
    this.#core.table.setStocked(this.slot, this.#stock.length);
  }

  /** Under the mutex. One segment for each ticket: then the next one waits behind the other members. */
  #serve(served: Array<{ waiter: Waiter; id: number }>): void {
    const { table } = this.#core;
    if (this.#waiters.length > 0 && table.ticket(this.slot) === 0) {
      table.setTicket(this.slot, table.nextTicket());
      table.waiting += 1;
    }
    while (this.#waiters.length > 0) {
      const id = this.#claim(0)[0];
      if (id === undefined) return;
      served.push({ waiter: this.#waiters.shift()!, id });
      table.setTicket(this.slot, table.nextTicket());
    }
    this.#core.leaveLine(this.slot);
  }

  #hand(waiter: Waiter, id: number): void {
    try {
      waiter.settle({ segment: this.#lease(id) });
    } catch (error) {
      waiter.settle({ error });
    }
  }

  #retrySoon(): void {
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined;
      this.#settle();
    }, RETRY_MS);
  }

  #reclaim(): void {
    for (const { slot, life } of this.#core.deadMembers()) this.#core.evict(slot, life, 0);
    this.#core.exclusively(() => this.#core.restoreMissing());
    this.#settle();
  }

  #stopReclaiming(): void {
    clearInterval(this.#reclaimer);
    this.#reclaimer = undefined;
  }

  #refuseWaiters(error: Error): void {
    for (const waiter of this.#waiters.splice(0)) waiter.settle({ error });
  }

  #isMember(): boolean {
    const { table } = this.#core;
    this.#evicted ||= table.life(this.slot) !== this.#life || table.slotState(this.slot) !== LIVE;
    return !this.#evicted;
  }

  #assertMember(): void {
    if (this.#closed) throw new Error(`Cannot take a segment of ${this.#core.prefix}: this member has been closed`);
    if (this.#evicted) throw this.#eviction();
  }

  #eviction(): SegmentPoolError {
    return new SegmentPoolError(
      "ERR_IPC_EVICTED",
      `Cannot use segment pool ${this.#core.prefix} as member ${this.slot}: it was taken for dead and its segments were given to others`,
    );
  }
}
