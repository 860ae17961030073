import { after, assertTimeout } from "./deadline.ts";
import { Doorbell, DoorbellRinger } from "./doorbell.ts";
import { type ObjectName, objectName } from "./object-name.ts";
import { ownPidNamespace, startTimeOf } from "./registry-maker.ts";
import { RingError } from "./ring-error.ts";
import { END, RING, STATE } from "./ring-layout.ts";
import { Semaphore } from "./semaphore.ts";
import type { SharedMemory } from "./shared-memory.ts";
import { thisThread } from "./thread-identity.ts";

/** How long a wait may last. */
export interface RingWait {
  /** Milliseconds, 0 to look only once; without it the wait ends when the other side acts, closes or dies. */
  readonly timeoutMs?: number;
}

export interface RingWaitAsync extends RingWait {
  /** Ends the wait: the promise is rejected with the signal's reason. */
  readonly signal?: AbortSignal;
}

interface Waiter {
  readonly isReady: () => boolean;
  readonly settle: (act: () => void) => void;
  readonly resolve: (ready: boolean) => void;
  readonly reject: (reason: unknown) => void;
}

/** Most time between two looks at whether the other side's thread lives, in milliseconds: a look costs about 10 µs. */
const DEATH_CHECK_MS = 100;

/**
 * One end of a ring: its claim, and every way in which it waits for the other one. Writer and reader differ only in what
 * they copy, which is theirs.
 */
export class RingEnd {
  readonly memory: SharedMemory;
  readonly #side: "writer" | "reader";
  readonly #own: number;
  readonly #peer: number;
  readonly #ownSemaphore: Semaphore;
  readonly #peerSemaphore: Semaphore;
  #bell: Doorbell | undefined;
  #ringer: DoorbellRinger | undefined;
  #waiter: Waiter | undefined;
  #closed = false;

  /** Claims one end for this process. It can be claimed once in a ring's life. */
  constructor(memory: SharedMemory, side: "writer" | "reader") {
    this.memory = memory;
    this.#side = side;
    this.#own = side === "writer" ? RING.writer : RING.reader;
    this.#peer = side === "writer" ? RING.reader : RING.writer;
    this.#claim();
    this.#ownSemaphore = Semaphore.at(memory, side === "writer" ? RING.room : RING.data);
    this.#peerSemaphore = Semaphore.at(memory, side === "writer" ? RING.data : RING.room);
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Where this end begins: 0 in a new ring. */
  ownPosition(): number {
    return this.#load(this.#own + END.position) >>> 0;
  }

  /** The other side's position as it stands. */
  peerPosition(): number {
    return this.#load(this.#peer + END.position) >>> 0;
  }

  /** True once the other side has closed its end. Read it before the position that is to be the last one. */
  peerIsClosed(): boolean {
    return this.#load(this.#peer + END.state) === STATE.closed;
  }

  /** Makes this end's new position visible, and wakes the other side when it sleeps. */
  publish(position: number): void {
    Atomics.store(this.memory.i32, (this.#own + END.position) >> 2, position | 0);
    this.wakePeer();
  }

  wakePeer(): void {
    if (this.#load(this.#peer + END.waits) === 1 && this.#exchange(this.#peer + END.waits, 1, 0))
      this.#peerSemaphore.post();
    if (this.#load(this.#peer + END.asleep) === 1) this.#ringPeer();
  }

  /**
   * Blocks this thread until `isReady`, which is asked again whenever the other side has acted.
   *
   * @returns False when the time is over.
   * @throws {RingError} `ERR_IPC_RING_PEER_DIED`, once what it left has been taken.
   */
  wait(isReady: () => boolean, { timeoutMs = Number.POSITIVE_INFINITY }: RingWait): boolean {
    assertTimeout(timeoutMs);
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      if (this.#sleepUnless(isReady, Math.min(deadline - performance.now(), DEATH_CHECK_MS))) return true;
      if (this.#peerDied(isReady)) return true;
      if (performance.now() >= deadline) return isReady();
    }
  }

  /** The same without blocking: other work of this event loop goes on. At most one such wait at a time. */
  async waitAsync(
    isReady: () => boolean,
    { timeoutMs = Number.POSITIVE_INFINITY, signal }: RingWaitAsync,
  ): Promise<boolean> {
    if (isReady()) return true;
    assertTimeout(timeoutMs);
    signal?.throwIfAborted();
    if (timeoutMs <= 0) return false;
    if (this.#waiter !== undefined) throw new Error(`Cannot wait twice at once on the ${this.#description}`);
    this.#bell ??= this.#listen();
    return await this.#awaitBell(isReady, timeoutMs, signal);
  }

  /** Marks this end closed for the other side and gives up its own means; the mapping is the ring's. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    Atomics.store(this.memory.i32, (this.#own + END.state) >> 2, STATE.closed);
    this.wakePeer();
    const waiter = this.#waiter;
    waiter?.settle(() =>
      waiter.reject(new RingError("ERR_IPC_RING_CLOSED", `The ${this.#description} was closed meanwhile`)),
    );
    this.#bell?.close();
    this.#ringer?.close();
  }

  /** An error that names this ring and end. */
  error(code: "ERR_IPC_RING_CLOSED" | "ERR_IPC_RING_CORRUPT" | "ERR_IPC_RING_PEER_DIED", why: string): RingError {
    return new RingError(code, `Cannot use the ${this.#description}: ${why}`);
  }

  get #description(): string {
    return `${this.#side}'s end of ring ${JSON.stringify(this.memory.name ?? "without a name")}`;
  }

  #claim(): void {
    const { tid, startTime, pidNamespace } = thisThread();
    if (!this.#exchange(this.#own + END.tid, 0, tid)) {
      const holder = this.#load(this.#own + END.tid);
      throw new RingError(
        "ERR_IPC_RING_TAKEN",
        `Cannot take the ${this.#description}: thread ${holder} has taken it; make another ring`,
      );
    }
    this.#store(this.#own + END.startTime, startTime);
    this.#store(this.#own + END.pidNamespace, pidNamespace);
    this.#store(this.#own + END.state, STATE.open);
  }

  /** One sleep on the semaphore. True when ready, before or after it. */
  #sleepUnless(isReady: () => boolean, timeoutMs: number): boolean {
    this.#store(this.#own + END.waits, 1);
    // The look after the flag: what was written before the other side could see the flag is seen here.
    const ready = isReady() || (timeoutMs > 0 && this.#ownSemaphore.wait({ timeoutMs }) && isReady());
    this.#exchange(this.#own + END.waits, 1, 0);
    return ready;
  }

  /** Throws when the other side's thread is gone for good; true when it has left something that is ready. */
  #peerDied(isReady: () => boolean): boolean {
    if (!hasDied(this.memory, this.#peer)) return false;
    if (isReady()) return true;
    throw this.error("ERR_IPC_RING_PEER_DIED", `thread ${this.#load(this.#peer + END.tid)} of the other end has died`);
  }

  #awaitBell(isReady: () => boolean, timeoutMs: number, signal: AbortSignal | undefined): Promise<boolean> {
    return new Promise<boolean>((resolve, reject) => {
      const settle = (act: () => void) => {
        this.#waiter = undefined;
        clearInterval(deathCheck);
        cancelTimer();
        signal?.removeEventListener("abort", abort);
        act();
      };
      const deathCheck = setInterval(() => this.#checkDeath(), DEATH_CHECK_MS);
      const cancelTimer = after(timeoutMs, () => {
        if (!this.#look()) settle(() => resolve(false));
      });
      const abort = () => settle(() => reject(signal?.reason));
      signal?.addEventListener("abort", abort, { once: true });
      this.#waiter = { isReady, settle, resolve, reject };
      this.#look(); // something may have come while the doorbell was being made
    });
  }

  /** What the doorbell calls: true when a wait ended. */
  #look(): boolean {
    const waiter = this.#waiter;
    if (waiter === undefined) return false;
    try {
      if (!waiter.isReady()) return false;
      waiter.settle(() => waiter.resolve(true));
    } catch (error) {
      waiter.settle(() => waiter.reject(error));
    }
    return true;
  }

  #checkDeath(): void {
    const waiter = this.#waiter;
    if (waiter === undefined) return;
    try {
      if (this.#peerDied(waiter.isReady)) waiter.settle(() => waiter.resolve(true));
    } catch (error) {
      waiter.settle(() => waiter.reject(error));
    }
  }

  #listen(): Doorbell {
    const name = bellName(this.memory, this.#side);
    // An end has one holder in the ring's life: a bell that is there was left by a ring of the same name before this one.
    Doorbell.unlink(name);
    return Doorbell.listen({
      name,
      flag: { memory: this.memory, offset: this.#own + END.asleep },
      look: () => this.#look(),
    });
  }

  #ringPeer(): void {
    if (this.#ringer?.gone === true) {
      this.#ringer.close();
      this.#ringer = undefined;
    }
    try {
      this.#ringer ??= DoorbellRinger.open({
        name: bellName(this.memory, this.#side === "writer" ? "reader" : "writer"),
        flag: { memory: this.memory, offset: this.#peer + END.asleep },
      });
      this.#ringer.ring();
    } catch {
      // The sleeper is gone, or another user's: it has no bell to ring. Its own slow timer, or the death check, sees to it.
    }
  }

  #load(offset: number): number {
    return Atomics.load(this.memory.i32, offset >> 2);
  }

  #store(offset: number, value: number): void {
    Atomics.store(this.memory.i32, offset >> 2, value | 0);
  }

  #exchange(offset: number, from: number, to: number): boolean {
    return Atomics.compareExchange(this.memory.i32, offset >> 2, from, to) === from;
  }
}

/** Whether the thread that holds an end is gone for good. While nobody holds it, somebody may still come. */
export function hasDied(memory: SharedMemory, end: number): boolean {
  const [tid, startTime, namespace] = [END.tid, END.startTime, END.pidNamespace].map((field) =>
    Atomics.load(memory.i32, (end + field) >> 2),
  ) as [number, number, number];
  if (tid <= 0) return false;
  if (namespace !== 0 && namespace !== (ownPidNamespace() | 0)) return false; // its tid means nothing here
  try {
    const found = startTimeOf(tid);
    // 0: it has claimed the end and not said yet when it started.
    return found === undefined || (startTime !== 0 && (found | 0) !== startTime);
  } catch {
    return false; // it can not be told now
  }
}

/** The name of the FIFO that wakes the event loop of a ring's end. */
export function bellName(memory: SharedMemory, side: "writer" | "reader"): ObjectName {
  return objectName(`${memory.name}.${side}`);
}
