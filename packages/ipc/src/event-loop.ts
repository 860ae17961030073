import { drainMicrotasks } from "bun:jsc";
import { bunEpoll } from "./bun-epoll.ts";
import { BunTimers } from "./bun-timers.ts";
import { check } from "./check.ts";
import { ERRNO, SystemCallError } from "./errno.ts";
import { errno, libc } from "./libc.ts";

const EPOLL_CLOEXEC = 0o2000000;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;

/** What epoll_wait says of a descriptor; the numbers of sys/epoll.h. */
export const EPOLL = { IN: 0x1, PRI: 0x2, OUT: 0x4, ERR: 0x8, HUP: 0x10, RDHUP: 0x2000, ET: 1 << 31 } as const;

/** Descriptors that are looked at in one go. */
const EVENTS_MAX = 128;
// struct epoll_event: 32 bits of events and 64 of data, packed on x64 only.
const WORDS = process.arch === "x64" ? 3 : 4;
const DATA = process.arch === "x64" ? 1 : 2;

/** Of those so many foresee before the first is told. */
const FORESEEN_MAX = 32;

/** So long may this loop go on before Bun's own gets a turn, for its timers and for what it was not seen to wait for. */
const SHARE_MS = 1;
/** With nothing to do it waits longer and longer, up to this, and no longer than until the next timer is due: how late one can be then that was not seen ({@link BunTimers}). */
const REST_MS_MAX = 100;
/** The same where Bun's epoll instance can not be told, so that nobody hears when Bun's loop has something to do. */
const BLIND_REST_MS_MAX = 16;

/** Somebody who waits for a descriptor. */
export interface Watcher {
  /** @param events Bits of {@link EPOLL}. Whoever has stopped watching in the same turn is not told. */
  ready(events: number): void;
  /** As {@link ready}, which is called soon after: for up to 32 to whom something has happened, before the first of them is told, and not for one who is alone. See {@link Batch}. */
  foresee?(events: number): void;
  /** About once a second. @param clockMs See {@link EventLoop.clockMs}. */
  sweep?(clockMs: number): void;
}

/** Somebody who has to be told by other means than a descriptor while the thread is awake: see Doorbell. */
export interface Sleeper {
  /** The thread is about to wait. Returns false when there is still work to do: then it does not, and this is called again at the end of another turn. */
  fallAsleep(): boolean;
  /** It has waited, and there is something to do. */
  wakeUp(): void;
  /** It has waited, nothing has happened, and it goes on waiting: after 100 ms at most. @param nowMs By `performance.now()`. */
  rested?(nowMs: number): void;
}

/** Somebody who does for many in one go what each would else do by itself. */
export interface Batch {
  /** {@link Watcher.foresee} has been called for all who are about to be told. */
  foreseen(): void;
  /** All have been told, and have said what they had to say to it. */
  turnEnds(): void;
}

/** A place in the loop; `undefined` watcher: it is free. The generation tells who had it before. */
interface Place {
  watcher: Watcher | undefined;
  generation: number;
}

const SWEEP_MS = 1000;
/** So much is the most that a thread is taken to have been there between two sweeps. */
const SWEEP_MS_MAX = 2000;
/** Bun ends a process for an error if there is nothing else to do: it is thrown once that is so, and the loop goes on, where somebody catches it, when that has been heard. */
const THROWN_MS = 10;
const AFTER_ERROR_MS = 100;

/**
 * An event loop of our own on top of Bun's, for descriptors that should cost less than Bun's sockets do: what a system call costs and one call of a function. There is one for each
 * thread, {@link EventLoop.current}.
 *
 * While it has something to watch it is the one that waits, in epoll_wait(2), also for Bun's loop, whose epoll instance it watches as one more descriptor. Bun's loop gets a turn when it has
 * something to do, when a timer is due, and in any case every few milliseconds, or 100 while nothing happens: timers, promises, workers' messages, TLS go on, a timer up to 2 ms late. One that was
 * set by other means than `setTimeout`, `setInterval` and `Bun.sleep`, which are seen on their way to Bun, is up to 100 ms late while nothing happens.
 * A loop that watches something keeps its process alive.
 */
export class EventLoop {
  static #current: EventLoop | undefined;

  readonly #epoll: number;
  readonly #events = new Int32Array(new ArrayBuffer(EVENTS_MAX * WORDS * 4));
  readonly #change = new Int32Array(new ArrayBuffer(WORDS * 4));
  readonly #places: Place[] = [];
  readonly #free: number[] = [];
  #watched = 0;
  /** Who is to be told in this turn although nothing has happened to its descriptor. */
  readonly #soon: Watcher[] = [];
  /** How many of them are still to be told in this turn, and have been asked to foresee: as {@link #handed}, for one that throws. */
  #soonLeft = 0;
  readonly #endOfTurn: (() => void)[] = [];
  readonly #sleepers = new Set<Sleeper>();
  readonly #batches: Batch[] = [];
  readonly #timers = BunTimers.watch();
  #isAsleep = true;
  /** What the last epoll_wait has found, and how much of it was handed out: a handler that throws does not lose the rest. */
  #found = 0;
  #handed = 0;
  /** Who has been asked to foresee: all before this one. */
  #foreseen = 0;
  #isInTurn = false;
  #turns = 0;
  #isBunDue = false;
  #isRunning = false;
  #restMs = SHARE_MS;
  readonly #restMsMax: number = REST_MS_MAX;
  #nowMs = performance.now();
  #sweptMs = this.#nowMs;
  #clockMs = 0;

  /** The calling thread's, made at the first call. @throws {SystemCallError} `EMFILE`: no descriptor left. */
  static current(): EventLoop {
    EventLoop.#current ??= new EventLoop();
    return EventLoop.#current;
  }

  private constructor() {
    this.#epoll = check("epoll_create1", "an event loop", libc().epoll_create1(EPOLL_CLOEXEC));
    const bun = bunEpoll();
    // Where it can not be told, Bun's loop gets its turns by the clock only.
    if (bun === undefined) this.#restMsMax = BLIND_REST_MS_MAX;
    else this.#control(EPOLL_CTL_ADD, bun, EPOLL.IN, BUN, 0);
  }

  /**
   * Milliseconds on the clock by which {@link Watcher.sweep} goes: between two sweeps it moves by two seconds at most. What has come while the thread was kept from running, or the machine was
   * asleep, is read before anybody is taken to have been silent.
   */
  get clockMs(): number {
    return this.#clockMs + Math.min(SWEEP_MS_MAX, this.#nowMs - this.#sweptMs);
  }

  /**
   * Tells `watcher` what happens to a descriptor, from the next turn on, until {@link unwatch}.
   *
   * @param events Bits of {@link EPOLL}; ERR and HUP are always told.
   * @returns What {@link unwatch} takes.
   * @throws {SystemCallError} `EEXIST`: it is watched already. `EPERM`: it can not be waited for (a file). `ENOSPC`: `fs.epoll.max_user_watches`.
   */
  watch(fildes: number, events: number, watcher: Watcher): number {
    const index = this.#free.pop() ?? this.#places.push({ watcher: undefined, generation: 0 }) - 1;
    const place = this.#places[index]!;
    try {
      this.#control(EPOLL_CTL_ADD, fildes, events, index, place.generation);
    } catch (error) {
      this.#free.push(index);
      throw error;
    }
    place.watcher = watcher;
    this.#watched += 1;
    this.#run();
    return index;
  }

  /** Tells nothing of it any more. Call it before the descriptor is closed. */
  unwatch(fildes: number, index: number): void {
    this.forget(index);
    libc().epoll_ctl(this.#epoll, EPOLL_CTL_DEL, fildes, this.#change);
  }

  /** As {@link unwatch}, of a descriptor that was closed and was the only one of what it stood for: the kernel has forgotten it by itself. */
  forget(index: number): void {
    const place = this.#places[index]!;
    place.watcher = undefined;
    place.generation = (place.generation + 1) | 0;
    this.#free.push(index);
    this.#watched -= 1;
  }

  /** Asks it before each wait, until the returned function is called. */
  addSleeper(sleeper: Sleeper): () => void {
    this.#sleepers.add(sleeper);
    this.#isAsleep = false;
    return () => this.#sleepers.delete(sleeper);
  }

  /** Tells it of each turn, as long as the loop lives. */
  addBatch(batch: Batch): void {
    this.#batches.push(batch);
  }

  /** Whether this is called from a watcher: then {@link Batch.turnEnds} is still to come. */
  get isInTurn(): boolean {
    return this.#isInTurn;
  }

  /** How many turns there have been. */
  get turns(): number {
    return this.#turns;
  }

  /** `watcher.ready(0)` is called in the next turn, which comes at once. */
  callSoon(watcher: Watcher): void {
    this.#soon.push(watcher);
  }

  /** Calls back once when this turn has told all it had to tell; from outside of a turn, at the end of the next one, which comes at once. */
  atEndOfTurn(callback: () => void): void {
    if (this.#isRunning) this.#endOfTurn.push(callback);
    else setImmediate(callback);
  }

  /**
   * What `setImmediate` is to Bun's loop: calls back once after what has happened meanwhile was told. (An immediate waits until this loop gives Bun's a turn.)
   *
   * @returns Calls it off.
   */
  static defer(callback: () => void): () => void {
    const loop = EventLoop.#current;
    if (loop === undefined || !loop.#isRunning) {
      const immediate = setImmediate(callback);
      return () => clearImmediate(immediate);
    }
    const deferred = { ready: callback };
    loop.callSoon(deferred);
    return () => {
      deferred.ready = () => {};
    };
  }

  #control(operation: number, fildes: number, events: number, index: number, generation: number): void {
    this.#change[0] = events;
    this.#change[DATA] = index;
    this.#change[DATA + 1] = generation;
    check("epoll_ctl", `descriptor ${fildes}`, libc().epoll_ctl(this.#epoll, operation, fildes, this.#change));
  }

  #run(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    setImmediate(this.#takeTurns);
  }

  /** Turns of this loop between two of Bun's. */
  readonly #takeTurns = (): void => {
    try {
      this.#takeTurnsUntil(performance.now() + SHARE_MS);
    } catch (error) {
      // Bun 1.4.5 does not end a process for an error that nobody catches while there are immediates.
      setTimeout(this.#takeTurns, AFTER_ERROR_MS);
      setTimeout(() => {
        throw error;
      }, THROWN_MS);
      return;
    }
    this.#isRunning = this.#watched > 0 || this.#isWanted;
    if (this.#isRunning) setImmediate(this.#takeTurns);
  };

  #takeTurnsUntil(untilMs: number): void {
    this.#isBunDue = false;
    do {
      this.#nowMs = performance.now();
    } while (this.#takeTurn() && this.#watched > 0 && !this.#isBunDue && this.#nowMs < untilMs);
    if (this.#nowMs - this.#sweptMs >= SWEEP_MS) this.#sweep();
  }

  /** Whether there was anything to do. */
  #takeTurn(): boolean {
    if (this.#handed === this.#found && this.#soonLeft === 0) this.#wait();
    const hasFound = this.#handed < this.#found || this.#isWanted;
    this.#restMs = hasFound ? SHARE_MS : Math.min(this.#restMsMax, this.#restMs * 2);
    if (!hasFound && this.#isAsleep) {
      for (const sleeper of this.#sleepers) sleeper.rested?.(performance.now());
      return false;
    }
    if (this.#isAsleep) for (const sleeper of this.#sleepers) sleeper.wakeUp();
    this.#isAsleep = false;
    this.#isInTurn = true;
    this.#turns += 1;
    try {
      this.#handOut();
      this.#handOutSoon();
      drainMicrotasks();
      this.#settle();
    } finally {
      this.#isInTurn = false;
      for (const batch of this.#batches) batch.turnEnds();
    }
    return true;
  }

  /** Somebody has work for it that needs no event. */
  get #isWanted(): boolean {
    return this.#soon.length > 0 || this.#endOfTurn.length > 0;
  }

  #wait(): void {
    this.#handed = 0;
    this.#foreseen = 0;
    const mayWait = this.#isAsleep && !this.#isWanted;
    const found = libc().epoll_wait(this.#epoll, this.#events, EVENTS_MAX, mayWait ? this.#restUntilTimer() : 0);
    this.#found = Math.max(0, found);
    if (found >= 0) return;
    const failure = errno();
    if (failure !== ERRNO.EINTR) throw new SystemCallError("epoll_wait", "an event loop", failure);
  }

  #restUntilTimer(): number {
    if (this.#restMs === SHARE_MS) return SHARE_MS;
    return Math.max(0, Math.min(this.#restMs, Math.ceil(this.#timers.restMs(this.#nowMs))));
  }

  /** Ends a turn: those who have to be told that it does fall asleep, or do not. */
  #settle(): void {
    this.#isAsleep = true;
    for (const sleeper of this.#sleepers) if (!sleeper.fallAsleep()) this.#isAsleep = false;
    drainMicrotasks();
    while (this.#endOfTurn.length > 0) this.#endOfTurn.shift()!();
    drainMicrotasks();
  }

  #handOut(): void {
    while (this.#handed < this.#found) {
      if (this.#handed === this.#foreseen) this.#foresee();
      const at = this.#handed * WORDS;
      this.#handed += 1;
      if (this.#events[at + DATA] === BUN) this.#isBunDue = true;
      else this.#watcherOf(at)?.ready(this.#events[at]!);
    }
  }

  #foresee(): void {
    const end = Math.min(this.#found, this.#handed + FORESEEN_MAX);
    this.#foreseen = end;
    if (end - this.#handed === 1) return;
    for (let index = this.#handed; index < end; index++) {
      const at = index * WORDS;
      if (this.#events[at + DATA] !== BUN) this.#watcherOf(at)?.foresee?.(this.#events[at]!);
    }
    for (const batch of this.#batches) batch.foreseen();
  }

  /** Whom the event at this word is for; undefined when it has stopped watching since. */
  #watcherOf(at: number): Watcher | undefined {
    const { watcher, generation } = this.#places[this.#events[at + DATA]!]!;
    return generation === this.#events[at + DATA + 1] ? watcher : undefined;
  }

  #handOutSoon(): void {
    if (this.#soonLeft === 0) this.#foreseeSoon();
    while (this.#soonLeft > 0) {
      this.#soonLeft -= 1;
      this.#soon.shift()!.ready(0);
    }
  }

  #foreseeSoon(): void {
    const count = this.#soon.length;
    this.#soonLeft = count;
    if (count < 2) return;
    for (let index = 0; index < Math.min(count, FORESEEN_MAX); index++) this.#soon[index]!.foresee?.(0);
    for (const batch of this.#batches) batch.foreseen();
  }

  #sweep(): void {
    this.#clockMs = this.clockMs;
    this.#sweptMs = this.#nowMs;
    for (let index = 0; index < this.#places.length; index++) this.#places[index]!.watcher?.sweep?.(this.#clockMs);
  }
}

/** Where Bun's own epoll instance stands in the place of an index. */
const BUN = -1;
