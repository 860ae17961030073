import { Deadline } from "./deadline.ts";
import { ERRNO, SystemCallError } from "./errno.ts";
import { eventually, type WaitOptions } from "./eventually.ts";
import { type Address, cString, errno, libc, pointer } from "./libc.ts";
import { type ObjectName, semaphoreName } from "./object-name.ts";
import { recorded, recordRemoval } from "./registry.ts";
import { createSemaphoreFile } from "./semaphore-file.ts";
import { addressIn, type SharedMemory } from "./shared-memory.ts";

const O_CREAT = 0o100;
const O_EXCL = 0o200;
const PROCESS_SHARED = 1;
const SEM_VALUE_MAX = 2 ** 31 - 1;

/** sizeof(sem_t) on 64-bit Linux, glibc and musl alike. */
export const SEMAPHORE_BYTES = 32;
const SEMAPHORE_ALIGNMENT = 8;

const valueScratch = new Int32Array(new ArrayBuffer(4));

/**
 * A counter that posting raises and waiting lowers, never below 0, between processes: named (found by name), or at an
 * offset of shared memory (found by those who map it).
 */
export class Semaphore implements Disposable {
  readonly name: ObjectName | undefined;
  readonly #subject: string;
  readonly #memory: SharedMemory | undefined;
  readonly #mapping: ArrayBuffer | undefined;
  #address: Address;

  private constructor(address: Address, subject: string, name?: ObjectName, memory?: SharedMemory) {
    this.#address = address;
    this.#subject = subject;
    this.name = name;
    this.#memory = memory;
    this.#mapping = memory?.buffer;
  }

  /**
   * Makes a named semaphore. Whoever creates it has to {@link Semaphore.unlink | unlink} it.
   *
   * @param value How many waits succeed before the first post.
   * @param options.mode Permission bits before the umask (default 0o600).
   * @param options.registered As for {@link SharedMemory.create}.
   * @throws {SystemCallError} `EEXIST`: the name is taken. `EINVAL`: the value is above SEM_VALUE_MAX (2^31 - 1).
   * @throws {InvalidNameError} `ERR_IPC_NAME`: more than 251 bytes.
   * @see https://pubs.opengroup.org/onlinepubs/9699919799/functions/sem_open.html
   * @example
   * using ready = Semaphore.create(objectName("/my-app.ready"), 0);
   */
  static create(name: ObjectName, value: number, options: { mode?: number; registered?: boolean } = {}): Semaphore {
    const make = () => Semaphore.#create(semaphoreName(name), value, options.mode ?? 0o600);
    return options.registered === false ? make() : recorded("semaphore", name, make);
  }

  static #create(name: ObjectName, value: number, mode: number): Semaphore {
    assertValue(value, name);
    if (!createSemaphoreFile(name, value, mode)) return Semaphore.#named(name, O_CREAT | O_EXCL, mode, value);
    try {
      return Semaphore.#named(name, 0, 0, 0);
    } catch (error) {
      libc().sem_unlink(cString(name));
      throw error;
    }
  }

  /**
   * Opens a named semaphore.
   *
   * @throws {SystemCallError} `ENOENT`: never created, or unlinked. `EACCES`: its mode excludes this user.
   */
  static open(name: ObjectName): Semaphore {
    return Semaphore.#named(name, 0, 0, 0);
  }

  static #named(name: ObjectName, oflag: number, mode: number, value: number): Semaphore {
    const address = libc().sem_open(cString(semaphoreName(name)), oflag, mode, value);
    if (!address) throw new SystemCallError("sem_open", name, errno()); // SEM_FAILED is a null pointer
    return new Semaphore(Number(address), name, name);
  }

  /**
   * The semaphore in the {@link SEMAPHORE_BYTES} bytes at `offset` of shared memory. It lives as long as that memory is
   * mapped, and is used up with it: nothing to unlink.
   *
   * @param offset A multiple of 8.
   * @param initialValue When given, the bytes are made into a semaphore of this value (one side does that, before the
   *   other uses it); without, they must already be one.
   * @throws {RangeError} The offset is no multiple of 8, or the memory ends before the semaphore does.
   * @throws {SystemCallError} `EACCES`: the memory is mapped read-only, and waiting and posting write.
   */
  static at(memory: SharedMemory, offset: number, initialValue?: number): Semaphore {
    const address = addressIn(memory, offset, SEMAPHORE_BYTES, SEMAPHORE_ALIGNMENT);
    if (memory.readOnly) {
      throw new SystemCallError("sem_init", memory.name ?? "anonymous memory", ERRNO.EACCES, "it is mapped read-only");
    }
    const where = `semaphore at ${offset} of ${memory.name ?? "anonymous memory"}`;
    const semaphore = new Semaphore(address, where, undefined, memory);
    if (initialValue !== undefined) semaphore.#init(initialValue);
    return semaphore;
  }

  /**
   * Removes a named semaphore's name, whoever made it. Those who have it open keep it.
   *
   * @returns Whether there was such a name.
   */
  static unlink(name: ObjectName): boolean {
    const existed = libc().sem_unlink(cString(semaphoreName(name))) === 0;
    const failure = existed ? 0 : errno();
    if (!existed && failure !== ERRNO.ENOENT) throw new SystemCallError("sem_unlink", name, failure);
    recordRemoval("semaphore", name, existed);
    return existed;
  }

  /**
   * Raises the value by one and wakes one thread that is blocked in wait. An event loop is woken by a {@link Doorbell}.
   *
   * @throws {SystemCallError} `EOVERFLOW`: the value is at its maximum.
   */
  post(): void {
    if (libc().sem_post(pointer(this.#open())) === -1) throw new SystemCallError("sem_post", this.#subject, errno());
  }

  /** Lowers the value if it is above 0. Never waits. */
  tryWait(): boolean {
    const address = pointer(this.#open());
    for (;;) {
      if (libc().sem_trywait(address) === 0) return true;
      const failure = errno();
      if (failure === ERRNO.EAGAIN) return false;
      if (failure !== ERRNO.EINTR) throw new SystemCallError("sem_trywait", this.#subject, failure);
    }
  }

  /**
   * Lowers the value, blocking this thread and its event loop while it is 0: for Workers and small programs.
   *
   * @param options.timeoutMs Milliseconds to wait at most; `Infinity` is allowed.
   * @returns false when the time is over.
   */
  wait(options: { timeoutMs: number }): boolean {
    const address = pointer(this.#open());
    if (libc().sem_trywait(address) === 0) return true; // no clock has to be read for it
    const deadline = new Deadline(options.timeoutMs);
    for (;;) {
      if (libc().sem_timedwait(address, deadline.timespec()) === 0) return true;
      const failure = errno();
      if (failure === ERRNO.EINTR) continue; // a signal: once more with the time that is left
      if (failure !== ERRNO.ETIMEDOUT) throw new SystemCallError("sem_timedwait", this.#subject, failure);
      if (deadline.hasPassed) return false;
    }
  }

  /**
   * Lowers the value as soon as that is possible; the event loop runs meanwhile. With a doorbell in the options whoever
   * posts has to ring after posting; without, a timer looks every 1 to 10 ms.
   *
   * @returns false when the time is over.
   * @throws The signal's reason when it is aborted; an Error when the semaphore is closed meanwhile.
   */
  async waitAsync(options: WaitOptions = {}): Promise<boolean> {
    return (await eventually(() => this.tryWait() || undefined, options)) ?? false;
  }

  /** The value at some moment during the call. */
  get value(): number {
    if (libc().sem_getvalue(pointer(this.#open()), valueScratch) === -1) {
      throw new SystemCallError("sem_getvalue", this.#subject, errno());
    }
    return valueScratch[0]!;
  }

  /**
   * Makes the value `value`. Only for a semaphore in shared memory, by its owner, while nobody waits or posts.
   *
   * @throws {SystemCallError} `EINVAL`: a named semaphore, or a value above SEM_VALUE_MAX.
   */
  reset(value: number): void {
    const address = pointer(this.#open());
    if (this.#memory === undefined) {
      throw new SystemCallError(
        "sem_init",
        this.#subject,
        ERRNO.EINVAL,
        "a named semaphore has its value from sem_open",
      );
    }
    libc().sem_destroy(address);
    this.#init(value);
  }

  /** Removes the name of a named semaphore; no error when it is gone already. Nothing for one in shared memory. */
  unlink(): void {
    if (this.name !== undefined) Semaphore.unlink(this.name);
  }

  /** Lets go of it. A named one stays until it is unlinked; one in shared memory stays as it is. */
  close(): void {
    if (this.#address === 0) return;
    if (this.#memory === undefined) libc().sem_close(pointer(this.#address));
    this.#address = 0;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #init(value: number): void {
    assertValue(value, this.#subject);
    if (libc().sem_init(pointer(this.#open()), PROCESS_SHARED, value) === -1) {
      throw new SystemCallError("sem_init", this.#subject, errno());
    }
  }

  #open(): Address {
    // The getter throws when the memory has been closed; sealing it moves the mapping.
    if (this.#address === 0 || this.#memory?.buffer !== this.#mapping) {
      throw new Error(`Cannot use ${this.#subject}: it has been closed`);
    }
    return this.#address;
  }
}

/** Before it is cut to 32 bits. */
function assertValue(value: number, subject: string): void {
  if (Number.isInteger(value) && value >= 0 && value <= SEM_VALUE_MAX) return;
  const advice = `its value must be an integer from 0 to ${SEM_VALUE_MAX}, not ${value}`;
  throw new SystemCallError("sem_init", subject, ERRNO.EINVAL, advice);
}

/** Makes the first {@link SEMAPHORE_BYTES} of `bytes` into a process-shared semaphore. */
export function initSemaphore(bytes: Uint8Array, value: number): void {
  if (libc().sem_init(bytes, PROCESS_SHARED, value) === -1) throw new SystemCallError("sem_init", "bytes", errno());
}
