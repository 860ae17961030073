import type { Doorbell } from "./doorbell.ts";
import { DoorbellRinger } from "./doorbell.ts";
import { SystemCallError } from "./errno.ts";
import type { FreeQueue } from "./free-queue.ts";
import type { LockOutcome } from "./mutex.ts";
import { type ObjectName, objectName } from "./object-name.ts";
import {
  EVICTED,
  FREE_SLOT,
  isHeld,
  isStocked,
  LIVE,
  MEMBERS_MAX,
  MISSING,
  type Ownership,
  ownership,
  type PoolTable,
  QUEUED,
} from "./pool-table.ts";
import { createSegment, MappedSegment, segmentName, UNREGISTERED } from "./segment.ts";
import { SegmentPoolError } from "./segment-pool-error.ts";
import { isWhole, SharedMemory } from "./shared-memory.ts";
import { isDead, type ThreadIdentity, thisThread } from "./thread-identity.ts";

/** A critical section takes a few microseconds: after so many tries its owner is not running, and we do better things. */
const LOCK_TRIES = 100;

export function bellName(prefix: ObjectName, slot: number): ObjectName {
  return objectName(`${prefix}.bell.${slot}`);
}

/**
 * One thread's view of a pool: its mutex, free queue and mapped segments, and the steps that members and the pool itself
 * are made of.
 *
 * Every id is in exactly one state, and its state word is the truth. The free queue holds exactly the ids whose state is
 * "queued", except inside a critical section; whoever finds the mutex's owner dead makes that true again. So an id can
 * neither be lost nor be queued twice, wherever a process dies.
 */
export class PoolCore {
  readonly prefix: ObjectName;
  readonly table: PoolTable;
  readonly thread: ThreadIdentity;
  /** Doorbells of this thread's members, by slot: they are looked at directly, not rung. */
  readonly bells = new Map<number, Doorbell>();
  readonly #queue: FreeQueue;
  readonly #mapped: Array<MappedSegment | undefined> = [];
  #replacedSeen = 0;
  readonly #ringers = new Map<number, { life: number; ringer: DoorbellRinger }>();

  constructor(prefix: ObjectName, table: PoolTable, queue: FreeQueue) {
    this.prefix = prefix;
    this.table = table;
    this.thread = thisThread();
    this.#queue = queue;
  }

  /**
   * Runs `section` under the pool's mutex, unless that is taken and stays so for `timeoutMs` (0: for some microseconds).
   *
   * @returns Whether it ran.
   */
  exclusively(section: () => void, timeoutMs = 0): boolean {
    const outcome = this.#lock(timeoutMs);
    if (outcome === undefined) return false;
    try {
      if (outcome === "owner-died") {
        this.#repair();
        this.table.consistent();
      }
      section();
    } catch (error) {
      this.#repair(); // a refusal of the kernel in the middle is a death in the middle
      throw error;
    } finally {
      this.table.unlock();
    }
    return true;
  }

  /** @throws {SegmentPoolError} `ERR_IPC_POOL_BUSY`: the mutex stayed taken for `timeoutMs`. */
  exclusivelyOrThrow(section: () => void, timeoutMs: number): void {
    if (this.exclusively(section, timeoutMs)) return;
    throw new SegmentPoolError(
      "ERR_IPC_POOL_BUSY",
      `Cannot enter segment pool ${this.prefix}: its mutex has been taken for ${timeoutMs} ms; is a process that uses it stopped?`,
    );
  }

  /**
   * Takes queued ids for a member: the first becomes "held", up to `extra` more "stocked". Under the mutex.
   *
   * @param ahead How many waiting members come first: an id is left for each of them.
   */
  claim(owner: Ownership, ahead: number, extra: number): number[] {
    if (this.table.queued <= ahead) this.#queueStocks();
    if (this.table.queued <= ahead) return [];
    const claimed: number[] = [];
    const wanted = Math.min(1 + extra, this.table.queued - ahead);
    for (let tries = 0; claimed.length === 0 && tries < 2; tries++) {
      for (let ids = this.#queue.take(wanted); ids.length > 0; ids = this.#queue.take(wanted)) {
        for (const id of ids) {
          const state = claimed.length === 0 ? owner.held : owner.stocked;
          if (id < this.table.segments && this.table.moveState(id, QUEUED, state)) claimed.push(id);
        }
        if (claimed.length > 0) break;
      }
      if (claimed.length === 0) this.#repair(); // somebody else has received from the queue
    }
    this.table.queued -= claimed.length;
    return claimed;
  }

  /** Queues those of the ids that still have this state. Under the mutex. */
  enqueue(ids: readonly number[], from: number): void {
    const moved = ids.filter((id) => this.table.moveState(id, from, QUEUED));
    this.#queue.put(moved);
    this.table.queued += moved.length;
  }

  /** Puts all ids into the queue of a pool that has just been made. */
  fill(): void {
    this.#repair();
  }

  /**
   * Makes the pool of members who are all dead as good as a new one, as far as there is memory: what nobody held is queued, what somebody may have handed on,
   * or cut short, is replaced. Under the mutex.
   */
  beginAnew(): void {
    const { table } = this;
    for (let id = 0; id < table.segments; id++) {
      const state = table.stateOf(id);
      if (state === MISSING) continue;
      const isGood =
        !isHeld(state) && isWhole(segmentName(this.prefix, id, table.generationOf(id)), table.segmentBytes);
      if (isGood) table.moveState(id, state, QUEUED);
      else this.replaceAndQueue(id, state);
    }
    for (let slot = 0; slot < MEMBERS_MAX; slot++) if (table.slotState(slot) !== FREE_SLOT) this.vacate(slot);
    this.#repair();
    this.restoreMissing();
  }

  /**
   * Replaces the segment of an id that nobody else can touch, and queues it; without memory for it the pool goes on one
   * smaller. Under the mutex.
   *
   * @param from The id's state, which says whose it is.
   */
  replaceAndQueue(id: number, from: number): void {
    const generation = this.table.generationOf(id);
    SharedMemory.unlink(segmentName(this.prefix, id, generation), UNREGISTERED);
    this.#forget(id); // its memory has to be free before the new one's is asked for
    if (!this.#tryCreate(id, generation + 1)) {
      if (this.table.moveState(id, from, MISSING)) this.table.missing += 1;
      return;
    }
    this.table.setGeneration(id, generation + 1);
    this.table.countReplaced();
    this.enqueue([id], from);
  }

  /** The mapping of an id's present segment. The caller holds the id. */
  mappingOf(id: number): MappedSegment {
    const generation = this.table.generationOf(id);
    const mapped = this.#mapped[id];
    if (mapped?.generation === generation) return mapped;
    return this.#remember(MappedSegment.open(this.prefix, id, generation));
  }

  /** The mapping of one generation of an id, or undefined when that is not the present one. */
  mappingOfGeneration(id: number, generation: number): MappedSegment | undefined {
    if (!Number.isInteger(id) || id < 0 || id >= this.table.segments) return undefined;
    if (this.table.generationOf(id) !== generation) return undefined;
    const mapped = this.#mapped[id];
    if (mapped?.generation === generation) return mapped;
    try {
      const opened = this.#remember(MappedSegment.open(this.prefix, id, generation));
      return this.#mapped[id] === opened ? opened : undefined; // it may have been replaced as it was opened
    } catch (error) {
      if (error instanceof SystemCallError && error.code === "ENOENT") return undefined;
      throw error;
    }
  }

  /** How many waiting members come before the one with this ticket; all of them before one without (0). */
  aheadOf(ticket: number): number {
    const waiting = this.table.waiting;
    if (waiting === 0 || ticket === 0) return waiting;
    return this.#tickets().findIndex((entry) => entry.ticket === ticket);
  }

  /** Rings those who wait and for whom something is queued. Not under the mutex. */
  wake(exceptSlot = -1): void {
    if (this.table.waiting === 0) return;
    for (const { slot } of this.#tickets().slice(0, this.table.queued)) {
      if (slot === exceptSlot) continue;
      const own = this.bells.get(slot);
      if (own !== undefined) own.look();
      else this.#ringerOf(slot)?.ring();
    }
  }

  /** Members whose threads have died, or whose eviction was interrupted. */
  deadMembers(): Array<{ slot: number; life: number }> {
    const dead: Array<{ slot: number; life: number }> = [];
    for (let slot = 0; slot < MEMBERS_MAX; slot++) {
      const life = this.table.life(slot); // before its thread: a slot taken meanwhile has another life, and is left alone
      const state = this.table.slotState(slot);
      if (state === FREE_SLOT) continue;
      if (state === EVICTED || isDead(this.table.threadOf(slot), this.thread)) dead.push({ slot, life });
    }
    return dead;
  }

  /**
   * Takes a member's segments away: stocked ones are queued, held ones replaced, because the dead may have handed them
   * to somebody who still writes. One critical section for each, so that others get their turns.
   *
   * @param life Which member of the slot is meant.
   * @returns How many segments it got back; undefined when the mutex could not be had (call again).
   */
  evict(slot: number, life: number, timeoutMs: number): number | undefined {
    let isTheSame = false;
    const marked = this.exclusively(() => {
      isTheSame = this.table.slotState(slot) !== FREE_SLOT && this.table.life(slot) === life;
      if (!isTheSame) return;
      this.table.setSlotState(slot, EVICTED);
      this.leaveLine(slot);
    }, timeoutMs);
    if (!marked) return undefined;
    if (!isTheSame) return 0;
    const owner = ownership(slot, life);
    let reclaimed = 0;
    for (let id = 0; id < this.table.segments; id++) {
      const state = this.table.stateOf(id);
      if (state !== owner.held && state !== owner.stocked) continue;
      const taken = this.exclusively(() => {
        const now = this.table.stateOf(id);
        if (now === owner.held) this.replaceAndQueue(id, now);
        else if (now === owner.stocked) this.enqueue([id], now);
      }, timeoutMs);
      if (!taken) return undefined;
      reclaimed += 1;
    }
    const vacated = this.exclusively(() => {
      if (this.table.life(slot) === life && this.table.slotState(slot) === EVICTED) this.vacate(slot);
    }, timeoutMs);
    this.wake();
    return vacated ? reclaimed : undefined;
  }

  /** Gives up a member's place among those who wait, if it has one. Under the mutex. */
  leaveLine(slot: number): void {
    if (this.table.ticket(slot) === 0) return;
    this.table.setTicket(slot, 0);
    this.table.waiting -= 1;
  }

  /** Makes a slot free. Under the mutex, when the member has no segments any more. */
  vacate(slot: number): void {
    this.leaveLine(slot);
    unlinkBell(this.prefix, slot);
    this.table.vacate(slot);
  }

  /** Tries again to make the segments that there was no memory for. Under the mutex. */
  restoreMissing(): void {
    for (let id = 0; id < this.table.segments && this.table.missing > 0; id++) {
      if (this.table.stateOf(id) !== MISSING) continue;
      const generation = this.table.generationOf(id) + 1;
      if (!this.#tryCreate(id, generation)) return;
      this.table.setGeneration(id, generation);
      this.table.missing -= 1;
      this.enqueue([id], MISSING);
    }
  }

  /** How many ids are in each state at some moment during the call. */
  countStates(): { free: number; held: number } {
    let free = 0;
    let held = 0;
    for (let id = 0; id < this.table.segments; id++) {
      const state = this.table.stateOf(id);
      if (state === QUEUED || isStocked(state)) free += 1;
      else if (isHeld(state)) held += 1;
    }
    return { free, held };
  }

  close(): void {
    for (const mapped of this.#mapped) mapped?.close();
    for (const { ringer } of this.#ringers.values()) ringer.close();
    this.#queue.close();
    this.table.close();
  }

  #lock(timeoutMs: number): LockOutcome | undefined {
    for (let tries = 0; tries < LOCK_TRIES; tries++) {
      const outcome = this.table.tryLock();
      if (outcome !== undefined) return outcome;
    }
    return timeoutMs > 0 ? this.table.lock(timeoutMs) : undefined;
  }

  /** Makes queue and counts what the state words say. Under the mutex; may itself be interrupted by death and repeated. */
  #repair(): void {
    this.#queue.drain();
    const queued: number[] = [];
    let missing = 0;
    for (let id = 0; id < this.table.segments; id++) {
      const state = this.table.stateOf(id);
      if (state === QUEUED) queued.push(id);
      else if (state === MISSING) missing += 1;
    }
    this.#queue.fill(queued);
    this.table.queued = queued.length;
    this.table.missing = missing;
    this.table.waiting = this.#tickets().length;
  }

  /** Queues what members keep ready for themselves: nobody goes without while somebody has one to spare. */
  #queueStocks(): void {
    let isStock = false;
    for (let slot = 0; slot < MEMBERS_MAX && !isStock; slot++) isStock = this.table.stocked(slot) > 0;
    if (!isStock) return;
    const ids: number[] = [];
    for (let id = 0; id < this.table.segments; id++) {
      const state = this.table.stateOf(id);
      if (isStocked(state) && this.table.moveState(id, state, QUEUED)) ids.push(id);
    }
    this.#queue.put(ids);
    this.table.queued += ids.length;
  }

  #tickets(): Array<{ slot: number; ticket: number }> {
    const tickets: Array<{ slot: number; ticket: number }> = [];
    for (let slot = 0; slot < MEMBERS_MAX; slot++) {
      const ticket = this.table.ticket(slot);
      if (ticket !== 0 && this.table.slotState(slot) === LIVE) tickets.push({ slot, ticket });
    }
    return tickets.sort((a, b) => (a.ticket - b.ticket) | 0); // tickets wrap
  }

  #ringerOf(slot: number): DoorbellRinger | undefined {
    const life = this.table.life(slot);
    const known = this.#ringers.get(slot);
    if (known?.life === life && !known.ringer.gone) return known.ringer;
    known?.ringer.close();
    this.#ringers.delete(slot);
    try {
      const flag = { memory: this.table.memory, offset: this.table.bellFlagOffset(slot) };
      const ringer = DoorbellRinger.open({ name: bellName(this.prefix, slot), flag });
      this.#ringers.set(slot, { life, ringer });
      return ringer;
    } catch (error) {
      if (error instanceof SystemCallError) return undefined; // its sleeper is dead, or looks by itself in 100 ms
      throw error;
    }
  }

  #remember(mapped: MappedSegment): MappedSegment {
    this.#forget(mapped.id);
    this.#mapped[mapped.id] = mapped;
    this.#forgetReplaced();
    return mapped;
  }

  /** Unmaps what others have replaced: as long as one thread maps it, its memory is not free. */
  #forgetReplaced(): void {
    const replaced = this.table.replaced;
    if (replaced === this.#replacedSeen) return;
    this.#replacedSeen = replaced;
    for (const mapped of this.#mapped) {
      if (mapped !== undefined && mapped.generation !== this.table.generationOf(mapped.id)) this.#forget(mapped.id);
    }
  }

  #forget(id: number): void {
    this.#mapped[id]?.close();
    this.#mapped[id] = undefined;
  }

  /** Without memory, or without a descriptor: false. */
  #tryCreate(id: number, generation: number): boolean {
    if (this.table.isUnlinked) return false;
    try {
      createSegment(this.prefix, id, generation, this.table.segmentBytes);
      return true;
    } catch (error) {
      if (error instanceof SystemCallError) return false;
      throw error;
    }
  }
}

function unlinkBell(prefix: ObjectName, slot: number): void {
  SharedMemory.unlink(bellName(prefix, slot), UNREGISTERED); // a FIFO's name is removed as any name in /dev/shm
}
