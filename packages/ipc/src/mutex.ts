import { Deadline } from "./deadline.ts";
import { ERRNO, SystemCallError } from "./errno.ts";
import { type Address, errno, libc, pointer } from "./libc.ts";
import { addressIn, type SharedMemory } from "./shared-memory.ts";

const MUTEX_ROBUST = 1;
const MUTEX_ERRORCHECK = 2;
const PROCESS_SHARED = 1;
const MREMAP_MAYMOVE = 1;
const EDEADLK = 35;

/** Room a mutex takes: sizeof(pthread_mutex_t) is 40 on x64 and 48 on arm64. Its offset is a multiple of this. */
export const MUTEX_BYTES = 64;

const attributeScratch = new Uint8Array(new ArrayBuffer(64)); // pthread_mutexattr_t: 4 or 8 bytes

/**
 * What taking a mutex came to. `"owner-died"`: you have it, but its last owner died holding it, so what it protects may
 * be half changed: repair that and call {@link Mutex.consistent}, or unlock, which makes it unusable for good.
 */
export type LockOutcome = "locked" | "owner-died";

/**
 * A robust lock in shared memory, between threads and processes: when its owner dies the next one gets it and is told.
 * The thread that locks has to unlock. Locking twice is an error, not a deadlock.
 *
 * @see https://pubs.opengroup.org/onlinepubs/9699919799/functions/pthread_mutexattr_setrobust.html
 */
export class Mutex implements Disposable {
  readonly #subject: string;
  readonly #page: Address;
  readonly #pageBytes: number;
  #address: Address;
  #held = false;

  private constructor(memory: SharedMemory, offset: number) {
    this.#subject = `mutex at ${offset} of ${memory.name ?? "anonymous memory"}`;
    if (memory.readOnly)
      throw new SystemCallError("mmap", this.#subject, ERRNO.EACCES, "the memory is mapped read-only");
    // A thread's list of held robust mutexes, which the kernel walks when the thread ends, points at the mutexes where
    // they are mapped. The memory's own mapping may go before that (close, a Worker's end): we need one that stays.
    const address = addressIn(memory, offset, MUTEX_BYTES, MUTEX_BYTES);
    this.#pageBytes = libc().getpagesize();
    const inPage = address % this.#pageBytes;
    this.#page = duplicateMapping(address - inPage, this.#pageBytes, this.#subject);
    this.#address = this.#page + inPage;
  }

  /**
   * Makes the {@link MUTEX_BYTES} bytes at `offset` into an unlocked mutex. One side does that, before the other uses it.
   *
   * @param offset A multiple of 64.
   */
  static create(memory: SharedMemory, offset: number): Mutex {
    const mutex = new Mutex(memory, offset);
    try {
      mutex.#init();
    } catch (error) {
      mutex.close();
      throw error;
    }
    return mutex;
  }

  /** The mutex that another side has made at `offset`. */
  static at(memory: SharedMemory, offset: number): Mutex {
    return new Mutex(memory, offset);
  }

  /**
   * Takes it unless another thread has it. Never waits.
   *
   * @returns undefined when another thread has it.
   * @throws {SystemCallError} `EDEADLK`: this thread has it. `ENOTRECOVERABLE`: somebody unlocked it after
   *   `"owner-died"` without {@link Mutex.consistent}.
   */
  tryLock(): LockOutcome | undefined {
    const failure = libc().pthread_mutex_trylock(pointer(this.#open()));
    if (failure !== ERRNO.EBUSY) return this.#locked("pthread_mutex_trylock", failure);
    if (this.#held) throw new SystemCallError("pthread_mutex_trylock", this.#subject, EDEADLK);
    return undefined;
  }

  /**
   * Takes it, blocking this thread and its event loop while another one has it.
   *
   * @param options.timeoutMs Milliseconds to wait at most; `Infinity` is allowed.
   * @returns undefined when the time is over.
   * @throws {SystemCallError} As for {@link Mutex.tryLock}.
   */
  lock(options: { timeoutMs: number }): LockOutcome | undefined {
    const address = pointer(this.#open());
    const deadline = new Deadline(options.timeoutMs);
    for (;;) {
      const failure = libc().pthread_mutex_timedlock(address, deadline.timespec());
      if (failure !== ERRNO.ETIMEDOUT) return this.#locked("pthread_mutex_timedlock", failure);
      if (deadline.hasPassed) return undefined;
    }
  }

  /** After `"owner-died"`: what the mutex protects is whole again. */
  consistent(): void {
    this.#check("pthread_mutex_consistent", libc().pthread_mutex_consistent(pointer(this.#open())));
  }

  /**
   * Lets go of it.
   *
   * @throws {SystemCallError} `EPERM`: this thread does not have it.
   */
  unlock(): void {
    this.#check("pthread_mutex_unlock", libc().pthread_mutex_unlock(pointer(this.#open())));
    this.#held = false;
  }

  /**
   * Lets go of the mapping (not of the mutex, which others go on using).
   *
   * @throws {Error} This object holds the lock.
   */
  close(): void {
    if (this.#address === 0) return;
    if (this.#held) throw new Error(`Cannot close ${this.#subject}: it is locked; unlock it first`);
    this.#address = 0;
    libc().munmap(pointer(this.#page), this.#pageBytes);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #init(): void {
    const { pthread_mutexattr_init, pthread_mutexattr_setpshared, pthread_mutexattr_settype } = libc();
    const { pthread_mutexattr_setrobust, pthread_mutex_init } = libc();
    this.#check("pthread_mutexattr_init", pthread_mutexattr_init(attributeScratch));
    this.#check("pthread_mutexattr_setpshared", pthread_mutexattr_setpshared(attributeScratch, PROCESS_SHARED));
    this.#check("pthread_mutexattr_setrobust", pthread_mutexattr_setrobust(attributeScratch, MUTEX_ROBUST));
    this.#check("pthread_mutexattr_settype", pthread_mutexattr_settype(attributeScratch, MUTEX_ERRORCHECK));
    this.#check("pthread_mutex_init", pthread_mutex_init(pointer(this.#address), attributeScratch));
  }

  #locked(syscall: string, failure: number): LockOutcome {
    if (failure !== ERRNO.EOWNERDEAD) this.#check(syscall, failure);
    this.#held = true;
    return failure === ERRNO.EOWNERDEAD ? "owner-died" : "locked";
  }

  #check(syscall: string, failure: number): void {
    if (failure !== 0) throw new SystemCallError(syscall, this.#subject, failure);
  }

  #open(): Address {
    if (this.#address === 0) throw new Error(`Cannot use ${this.#subject}: it has been closed`);
    return this.#address;
  }
}

/** A second mapping of the same pages, which mremap makes when the old size is 0. */
function duplicateMapping(page: Address, bytes: number, subject: string): Address {
  const address = libc().mremap(pointer(page), 0, bytes, MREMAP_MAYMOVE);
  if (address === -1n) throw new SystemCallError("mremap", subject, errno());
  return Number(address);
}
