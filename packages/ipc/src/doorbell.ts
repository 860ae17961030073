import { fstatSync, lstatSync } from "node:fs";
import { check } from "./check.ts";
import { ERRNO, SystemCallError } from "./errno.ts";
import { EPOLL, type EventLoop } from "./event-loop.ts";
import type { Waker } from "./eventually.ts";
import { cString, errno, libc } from "./libc.ts";
import { type ObjectName, pathOf } from "./object-name.ts";
import { recorded, recordRemoval, removeOwnEntry } from "./registry.ts";
import { ownerAdvice, type SharedMemory } from "./shared-memory.ts";

const O_WRONLY = 1;
const O_RDWR = 0o2;
const O_NONBLOCK = 0o4000;
const O_NOFOLLOW = process.arch === "arm64" ? 0o100000 : 0o400000; // the one flag here that differs between the two
const O_CLOEXEC = 0o2000000;

const AWAKE = 0;
const ASLEEP = 1;

const SWEEP_MS_DEFAULT = 100;
/** A loop that rests as long as a sweep is to be apart is not to miss every second one. */
const SWEEP_EARLY_MS = 5;
/** Half a second by default: a thread that wants a processor for so long between two steps is rarer than a fault. */
const SWEEPS_TO_BE_SURE = 5;

/** After so many looks in a row that found work the event loop gets a turn, or its sockets would starve. */
const LOOKS_PER_TURN = 16;

/** An eventfd takes 8 bytes, a number to add; a FIFO takes any. */
const RING = new Uint8Array(new ArrayBuffer(8));
RING[0] = 1;

const NOBODY = { ready() {} };

/** What is read of rings, which nobody looks at. */
const rings = new Uint8Array(new ArrayBuffer(256));

/** The word in shared memory that says whether the sleeper sleeps: 32 bits, 0 awake, 1 asleep. 0 to begin with. */
export interface DoorbellFlag {
  readonly memory: SharedMemory;
  /** In bytes, a multiple of 4. */
  readonly offset: number;
}

/** Where to find a doorbell: a FIFO by its name, or an eventfd by its descriptor. */
export type DoorbellChannel =
  | { readonly name: ObjectName; readonly fildes?: undefined }
  | { readonly name?: undefined; readonly fildes: number };

export type DoorbellOptions = DoorbellChannel & {
  readonly flag: DoorbellFlag;
  /** Does the work that is there and says whether it found some. Called again until it returns false. Must not wait. */
  readonly look?: () => boolean;
  /** Where rings are waited for: in this event loop of the calling thread, and only while it waits; by default in Bun's. */
  readonly loop?: EventLoop;
  /** Milliseconds between looks that nobody rang for (default 100; in an event loop of ours no less than it rests). */
  readonly sweepMs?: number;
  /** As for {@link SharedMemory.create}, when it is a FIFO. */
  readonly registered?: boolean;
};

/**
 * A word of shared memory as the sleeper's flag. The order of the steps is the whole protocol:
 *
 *   sleeper: flag = ASLEEP, look once more, sleep            waker: make the work visible, ASLEEP -> AWAKE, ring
 *
 * Either the sleeper's last look sees the work, or the waker sees ASLEEP.
 */
class FlagWord {
  readonly #memory: SharedMemory;
  readonly #index: number;

  constructor({ memory, offset }: DoorbellFlag) {
    if (!Number.isInteger(offset) || offset < 0 || offset % 4 !== 0 || offset + 4 > memory.length) {
      throw new RangeError(`Cannot use offset ${offset} as a doorbell's flag: not an aligned word of the memory`);
    }
    if (memory.readOnly) {
      const subject = `doorbell's flag in ${memory.name ?? "anonymous memory"}`;
      throw new SystemCallError("mmap", subject, ERRNO.EACCES, "the memory is mapped read-only");
    }
    this.#memory = memory;
    this.#index = offset / 4;
  }

  get isAsleep(): boolean {
    return Atomics.load(this.#memory.i32, this.#index) === ASLEEP;
  }

  set(state: typeof AWAKE | typeof ASLEEP): void {
    Atomics.store(this.#memory.i32, this.#index, state);
  }

  /** ASLEEP to AWAKE; false when it was awake, or another waker was faster. */
  take(): boolean {
    return Atomics.compareExchange(this.#memory.i32, this.#index, ASLEEP, AWAKE) === ASLEEP;
  }

  get isGone(): boolean {
    return this.#memory.closed;
  }
}

/** A wake-up may have been lost: that `looked` and the flag have been as they are for so many sweeps. */
interface Doubt {
  readonly looked: number;
  readonly isTaken: boolean;
  readonly sweeps: number;
}

const NO_DOUBT: Doubt = { looked: -1, isTaken: false, sweeps: 0 };

/**
 * The sleeper's side of a bell that wakes an event loop in another process or thread. The truth stays where it is (a
 * queue, a semaphore, a ring); the bell only says "look", and the kernel is called only when the other side sleeps.
 *
 * An open doorbell keeps its process alive.
 */
export class Doorbell implements Disposable, Waker {
  readonly #name: ObjectName | undefined;
  readonly #fildes: number;
  readonly #flag: FlagWord;
  readonly #loop: EventLoop | undefined;
  /** What is called at every look, and what is told when there will be none any more. */
  readonly #looks = new Map<() => boolean, ((reason: Error) => void) | undefined>();
  /** Ends the waiting for rings. */
  readonly #deafen: () => void;
  readonly #sweepMs: number;
  /** Undefined in an event loop of ours, where it is swept whenever that has rested. */
  readonly #sweeper: ReturnType<typeof setInterval> | undefined;
  #sweptMs = 0;
  #nextTurn: ReturnType<typeof setImmediate> | undefined;
  #looking = false;
  #closed = false;
  #looked = 0;
  #doubt: Doubt | undefined;
  #rings = 0;
  #lostWakeups = 0;

  private constructor(options: DoorbellOptions, flag: FlagWord, fildes: number) {
    this.#name = options.name;
    this.#fildes = fildes;
    this.#flag = flag;
    this.#loop = options.loop;
    if (options.look !== undefined) this.#looks.set(options.look, undefined);
    this.#sweepMs = options.sweepMs ?? SWEEP_MS_DEFAULT;
    this.#deafen = options.loop === undefined ? this.#hearInBun() : this.#hearIn(options.loop);
    if (options.loop === undefined) this.#sweeper = setInterval(() => this.#sweep(), this.#sweepMs).unref();
  }

  /**
   * Makes the bell, looks once, and from then on looks whenever it is rung. With `name` a FIFO of mode 0600 is made in
   * /dev/shm, to be removed by {@link Doorbell.close}; with `fildes` an inherited eventfd is taken over (and closed).
   *
   * @throws {SystemCallError} `EEXIST`: the name is taken, perhaps by a left-over: see {@link Doorbell.unlink}. `EMFILE`:
   *   no descriptor left (it needs two). `ENOSPC`: /dev/shm is full. `EACCES`: the flag's memory is mapped read-only.
   * @throws {RangeError} The flag is not an aligned word of its memory.
   * @example
   * using bell = Doorbell.listen({ name: objectName("/my-app.bell"), flag: { memory, offset: 0 }, look: () => serveOne() });
   */
  static listen(options: DoorbellOptions): Doorbell {
    const flag = new FlagWord(options.flag);
    if (options.name === undefined) return new Doorbell(options, flag, options.fildes).#begin();
    const { name } = options;
    if (options.registered === false) return Doorbell.#listenAt(name, options, flag);
    return recorded("fifo", name, () => Doorbell.#listenAt(name, options, flag));
  }

  static #listenAt(name: ObjectName, options: DoorbellOptions, flag: FlagWord): Doorbell {
    const path = cString(pathOf(name));
    check("mkfifo", name, libc().mkfifo(path, 0o600));
    let fildes = -1;
    let bell: Doorbell;
    try {
      // O_RDWR: this process is a writer too, so that the stream does not end when the last ringer leaves.
      fildes = check("open", name, libc().open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW, 0));
      bell = new Doorbell(options, flag, fildes);
    } catch (error) {
      if (fildes !== -1) libc().close(fildes);
      Doorbell.unlink(name);
      throw error;
    }
    return bell.#begin(); // which closes and unlinks by itself
  }

  /**
   * An eventfd for a bell without a name: hand it to the sleeper and to each waker through `Bun.spawn`'s `stdio`. The
   * caller closes it (`fs.closeSync`), or gives it to {@link Doorbell.listen}, which does.
   *
   * @throws {SystemCallError} `EMFILE`: no descriptor left.
   */
  static createEventfd(): number {
    return check("eventfd", "a doorbell", libc().eventfd(0, O_NONBLOCK | O_CLOEXEC));
  }

  /**
   * Removes a FIFO's name that a crash left behind.
   *
   * @returns Whether there was such a name.
   * @throws {SystemCallError} `EPERM`, `EACCES`: it belongs to another user.
   */
  static unlink(name: ObjectName): boolean {
    const existed = libc().unlink(cString(pathOf(name))) === 0;
    const failure = existed ? 0 : errno();
    if (!existed && failure !== ERRNO.ENOENT) throw new SystemCallError("unlink", name, failure);
    recordRemoval("fifo", name, existed);
    return existed;
  }

  /** How often it was woken by a ring (rings that came together count once). */
  get rings(): number {
    return this.#rings;
  }

  /**
   * How often the slow timer found work that nobody rang for, and nobody did ring for afterwards either. Anything but 0
   * is a waker that does not ring, or that died between making work visible and ringing.
   */
  get lostWakeups(): number {
    return this.#lostWakeups;
  }

  /**
   * Looks now, on the owner's own account (it is awake anyway). Nothing happens while a look is under way. What a look
   * throws goes to the caller; from a ring or the timer it becomes an uncaught error.
   */
  look(): void {
    if (this.#looking || this.#closed) return;
    if (this.#lookUntilAsleep()) return;
    if (this.#loop !== undefined) return this.#loop.callSoon(NOBODY); // whose turn ends with another look
    this.#nextTurn ??= setImmediate(() => {
      this.#nextTurn = undefined;
      this.look();
    });
  }

  /** False when there may still be work after so many looks; it is awake then. */
  #lookUntilAsleep(): boolean {
    this.#looking = true;
    this.#looked += 1;
    try {
      this.#flag.set(AWAKE);
      for (let looks = 0; looks < LOOKS_PER_TURN; looks++) {
        if (this.#lookOnce()) continue;
        if (this.#closed) return true;
        this.#flag.set(ASLEEP);
        if (!this.#lookOnce() || this.#closed) return true;
        this.#flag.set(AWAKE);
      }
      return false;
    } finally {
      this.#looking = false;
    }
  }

  /**
   * Also calls `look` at every look, until the returned function is called. For {@link Semaphore.waitAsync} and its like.
   *
   * @param onClose Called with an Error when the bell is closed before that.
   */
  watch(look: () => boolean, onClose?: (reason: Error) => void): () => void {
    if (this.#closed) throw this.#closure();
    this.#looks.set(look, onClose);
    return () => this.#looks.delete(look);
  }

  /**
   * Stops looking, closes, and removes the FIFO (unless somebody has put another one in its place). Who waits for it at
   * that moment (`waitAsync`, `receiveAsync`, `sendAsync`) gets an Error.
   */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#sweeper);
    clearImmediate(this.#nextTurn);
    if (!this.#flag.isGone) this.#flag.set(AWAKE);
    if (this.#name !== undefined) {
      if (this.#isStillNamed(this.#name)) Doorbell.unlink(this.#name);
      else removeOwnEntry("fifo", this.#name);
    }
    this.#deafen();
    libc().close(this.#fildes);
    for (const onClose of [...this.#looks.values()]) onClose?.(this.#closure());
  }

  [Symbol.dispose](): void {
    this.close();
  }

  get #subject(): string {
    return this.#name ?? `descriptor ${this.#fildes}`;
  }

  #closure(): Error {
    return new Error(`Cannot wait for doorbell ${this.#subject}: it has been closed`);
  }

  #begin(): this {
    try {
      this.look();
    } catch (error) {
      this.close();
      throw error;
    }
    return this;
  }

  #lookOnce(): boolean {
    let found = false;
    for (const look of this.#looks.keys()) {
      if (this.#closed) return false;
      if (look()) found = true;
    }
    return found;
  }

  /** It is asleep only while the thread waits: who has something for it in a turn does not have to ring. */
  #hearIn(loop: EventLoop): () => void {
    const place = loop.watch(this.#fildes, EPOLL.IN, {
      ready: () => {
        libc().read(this.#fildes, rings, rings.length); // all that fits: what is left is another event
        this.#rings += 1;
      },
    });
    const leave = loop.addSleeper({
      fallAsleep: () => this.#looking || this.#closed || this.#lookUntilAsleep(),
      wakeUp: () => this.#flag.set(AWAKE),
      rested: (nowMs) => {
        if (nowMs - this.#sweptMs < this.#sweepMs - SWEEP_EARLY_MS) return;
        this.#sweptMs = nowMs;
        this.#sweep();
      },
    });
    return () => {
      leave();
      loop.unwatch(this.#fildes, place);
    };
  }

  #hearInBun(): () => void {
    const reader = Bun.file(this.#fildes).stream().getReader();
    void this.#listenTo(reader);
    // The stream reads through a duplicate of its own, which cancelling closes.
    return () => void reader.cancel().catch(() => undefined);
  }

  async #listenTo(reader: { read(): Promise<{ done: boolean }> }): Promise<void> {
    try {
      for (;;) {
        const { done } = await reader.read();
        if (this.#closed) return;
        if (done) throw new Error(`Cannot listen to doorbell ${this.#subject}: its stream has ended`);
        this.#rings += 1;
        this.look();
      }
    } catch (error) {
      if (!this.#closed) throwUncaught(error);
      if (!this.#closed) void this.#listenTo(reader);
    }
  }

  /**
   * Looks although nobody rang. Finding something is no proof of a lost wake-up yet: the waker may be between its two steps, or its ring between the kernel and us, and on a machine that
   * has no processor to spare each stays there for a while. So the flag stays as it is, what is found is done, and only when nobody has looked (every ring makes us look) for {@link SWEEPS_TO_BE_SURE} sweeps was the wake-up lost.
   */
  #sweep(): void {
    if (this.#looking || this.#nextTurn !== undefined) return;
    const isTaken = !this.#flag.isAsleep;
    const { looked, isTaken: wasTaken, sweeps } = this.#doubt ?? NO_DOUBT;
    const lasts = looked === this.#looked && wasTaken === isTaken;
    const found = this.#lookQuietly();
    if (lasts) this.#doubt = { looked, isTaken, sweeps: sweeps + 1 };
    else this.#doubt = found || isTaken ? { looked: this.#looked, isTaken, sweeps: 0 } : undefined;
    if (!lasts || sweeps + 1 < SWEEPS_TO_BE_SURE) return;
    this.#lostWakeups += 1;
    this.#doubt = undefined;
    if (isTaken) this.look(); // somebody has taken the flag and never rang: it is set anew
  }

  /** As a look that nobody sees: the flag stays as it is. */
  #lookQuietly(): boolean {
    this.#looking = true;
    try {
      return this.#lookOnce();
    } finally {
      this.#looking = false;
    }
  }

  #isStillNamed(name: ObjectName): boolean {
    const there = lstatSync(pathOf(name), { throwIfNoEntry: false });
    const ours = fstatSync(this.#fildes);
    return there !== undefined && there.ino === ours.ino && there.dev === ours.dev;
  }
}

/** The waker's side of a {@link Doorbell}. */
export class DoorbellRinger implements Disposable {
  readonly #subject: string;
  readonly #flag: FlagWord;
  readonly #owned: boolean;
  #fildes: number;
  #gone = false;

  private constructor(options: DoorbellChannel & { flag: DoorbellFlag }, flag: FlagWord, fildes: number) {
    this.#subject = options.name ?? `descriptor ${options.fildes}`;
    this.#flag = flag;
    this.#fildes = fildes;
    this.#owned = options.name !== undefined;
  }

  /**
   * Finds a bell by its FIFO's name, or uses an inherited eventfd (which stays the caller's to close).
   *
   * @throws {SystemCallError} `ENOENT`: there is no such bell (yet, or any more). `ENXIO`: there is, but its sleeper is
   *   dead. `EACCES`: it is another user's, or not a FIFO; or the flag's memory is mapped read-only.
   */
  static open(options: DoorbellChannel & { readonly flag: DoorbellFlag }): DoorbellRinger {
    const flag = new FlagWord(options.flag);
    if (options.name === undefined) return new DoorbellRinger(options, flag, options.fildes);
    const oflag = O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW;
    const fildes = check("open", options.name, libc().open(cString(pathOf(options.name)), oflag, 0));
    const status = fstatSync(fildes);
    if (status.isFIFO() && status.uid === process.geteuid?.()) return new DoorbellRinger(options, flag, fildes);
    libc().close(fildes);
    const advice = status.isFIFO() ? ownerAdvice(status.uid) : "it is not a FIFO: something else has taken the name";
    throw new SystemCallError("open", options.name, ERRNO.EACCES, advice);
  }

  /**
   * Wakes the sleeper if it sleeps. Call it after the work is visible (message sent, semaphore posted).
   *
   * @returns Whether it rang. false when the sleeper is awake (it will look by itself), or gone.
   */
  ring(): boolean {
    if (this.#fildes === -1) throw new Error(`Cannot ring doorbell ${this.#subject}: it has been closed`);
    if (!this.#flag.isAsleep || !this.#flag.take()) return false;
    for (;;) {
      if (libc().write(this.#fildes, RING, RING.length) !== -1) return true;
      const failure = errno();
      if (failure === ERRNO.EAGAIN) return true; // full of rings that nobody has heard yet
      if (failure === ERRNO.EPIPE) {
        this.#gone = true; // Bun ignores SIGPIPE
        return false;
      }
      if (failure !== ERRNO.EINTR) throw new SystemCallError("write", this.#subject, failure);
    }
  }

  /** Whether a ring found nobody: the sleeper has died or closed its bell. Never true for an eventfd. */
  get gone(): boolean {
    return this.#gone;
  }

  close(): void {
    if (this.#owned && this.#fildes !== -1) libc().close(this.#fildes);
    this.#fildes = -1;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function throwUncaught(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}
