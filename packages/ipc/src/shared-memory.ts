import { fstatSync, lstatSync, type Stats } from "node:fs";
import { check, openUnleased } from "./check.ts";
import { ERRNO, errorCode, SystemCallError } from "./errno.ts";
import { type Address, adoptMapping, cString, errno, libc } from "./libc.ts";
import { limitAdvice } from "./limits.ts";
import { type ObjectName, pathOf } from "./object-name.ts";
import { recorded, recordRemoval, recordTakeOver } from "./registry.ts";

const O_RDONLY = 0;
const O_RDWR = 0o2;
const O_CREAT = 0o100;
const O_EXCL = 0o200;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const F_ADD_SEALS = 1033;
const F_SEAL_SEAL_SHRINK_GROW_WRITE = 1 | 2 | 4 | 8;

/** toArrayBuffer's largest buffer. */
const LENGTH_MAX = 2 ** 32;

/** Address of `bytes` bytes at `offset` of an open mapping, for the C functions. Valid until the memory is closed. */
export let addressIn: (memory: SharedMemory, offset: number, bytes: number, alignment: number) => Address;

/**
 * A mapping of memory that other processes can map too.
 *
 * Writes reach the other process in no promised order: pair every hand-over with a {@link Semaphore}, a
 * {@link MessageQueue} or `Atomics` on {@link SharedMemory.i32}. Closing unmaps and does not unlink: the name stays until
 * somebody unlinks it, the bytes until nobody maps them either.
 */
export class SharedMemory implements Disposable {
  readonly name: ObjectName | undefined;
  /** Size of the whole object in bytes. */
  readonly length: number;
  readonly #fildes: number | undefined;
  #readOnly: boolean;
  #registered = true;
  #closed = false;
  #address: Address;
  #buffer: ArrayBuffer;
  #bytes: Uint8Array;
  #i32: Int32Array;
  #f64: Float64Array | undefined;

  static {
    addressIn = (memory, offset, bytes, alignment) => {
      memory.#assertOpen();
      if (!Number.isInteger(offset) || offset < 0 || offset + bytes > memory.length || offset % alignment !== 0) {
        throw new RangeError(
          `Cannot place ${bytes} bytes at offset ${offset} of ${memory.#subject}: offsets must be multiples of ${alignment}` +
            ` and the end at most ${memory.length}`,
        );
      }
      return memory.#address + offset;
    };
  }

  private constructor(name: ObjectName | undefined, length: number, readOnly: boolean, fildes: number, keep: boolean) {
    this.name = name;
    this.length = length;
    this.#readOnly = readOnly;
    this.#fildes = keep ? fildes : undefined;
    this.#address = map(fildes, length, readOnly, this.#subject);
    this.#buffer = adoptMapping(this.#address, length);
    this.#bytes = new Uint8Array(this.#buffer);
    this.#i32 = new Int32Array(this.#buffer, 0, Math.floor(length / 4));
  }

  /**
   * Makes a shared memory object of `length` zero bytes and maps it read-write. Its pages are really allocated, so that
   * a full /dev/shm shows here as `ENOSPC` and never later as SIGBUS.
   *
   * Whoever creates an object has to {@link SharedMemory.unlink | unlink} it. When anything fails nothing is left.
   *
   * @param length Bytes, 1 to 4 GiB.
   * @param options.mode Permission bits before the umask (default 0o600: this user only).
   * @param options.registered false for what `ipc clean` must never remove, and for what an entry of its own is too much
   *   because something else keeps account of it (default true: about 5 µs).
   * @throws {SystemCallError} `EEXIST`: the name is taken, by a living process or as a left-over. `ENOSPC`: /dev/shm has
   *   no `length` bytes left. `EMFILE`, `ENFILE`: no descriptor left (it is closed again before this returns).
   * @see https://pubs.opengroup.org/onlinepubs/9699919799/functions/shm_open.html
   * @example
   * using memory = SharedMemory.create(objectName("/my-app.frames"), 1 << 20);
   */
  static create(name: ObjectName, length: number, options: { mode?: number; registered?: boolean } = {}): SharedMemory {
    assertLength(length, name);
    const make = () => SharedMemory.#create(name, length, options.mode ?? 0o600);
    if (options.registered !== false) return recorded("memory", name, make);
    const memory = make();
    memory.#registered = false;
    return memory;
  }

  static #create(name: ObjectName, length: number, mode: number): SharedMemory {
    return makeObject(name, length, mode, (fildes) => new SharedMemory(name, length, false, fildes, false));
  }

  /**
   * Maps an existing shared memory object into this process, at the length its creator gave it, in bytes.
   *
   * @param options.readOnly Map without the right to write: a write through such a view ends the process with SIGSEGV. So does
   *   `Atomics.load`, once it is optimised: Bun 1.4.5 makes it an addition of zero. Read plainly.
   * @param options.keepsDescriptor Keep its descriptor until it is closed, to send from: {@link SharedMemory.fildes}.
   * @throws {SystemCallError} `ENOENT`: never created, or already unlinked. `EACCES`: its mode excludes this user, or it
   *   belongs to another user (anybody may create a name in /dev/shm, so what a stranger put there is not used).
   *   `EINVAL` from `mmap`: its creator has not sized it yet.
   * @see https://pubs.opengroup.org/onlinepubs/9699919799/functions/shm_open.html
   * @example
   * using memory = SharedMemory.open(objectName("/my-app.frames"));
   */
  static open(name: ObjectName, options: { readOnly?: boolean; keepsDescriptor?: boolean } = {}): SharedMemory {
    const readOnly = options.readOnly ?? false;
    const keep = options.keepsDescriptor ?? false;
    const oflag = (readOnly ? O_RDONLY : O_RDWR) | O_NONBLOCK | O_CLOEXEC;
    const path = cString(name);
    const fildes = check(
      "shm_open",
      name,
      openUnleased(() => libc().shm_open(path, oflag, 0)),
    );
    try {
      const memory = SharedMemory.#overDescriptor(name, fildes, readOnly, keep);
      if (!keep) libc().close(fildes);
      return memory;
    } catch (error) {
      libc().close(fildes);
      throw error;
    }
  }

  /**
   * Takes over what a process that has died has left under this name: for where there may be no memory for another object. Its bytes are as they were left, and
   * whoever still maps it sees what is written there from now on; that its maker is dead is for the caller to know.
   *
   * @returns undefined: there is none, or it is not as good as a new one. It has another length, somebody has cut it and it was made longer again, or another user made it.
   */
  static takeOver(name: ObjectName, length: number): SharedMemory | undefined {
    if (!isWhole(name, length)) return undefined;
    let memory: SharedMemory;
    try {
      memory = SharedMemory.open(name);
    } catch (error) {
      if (error instanceof SystemCallError) return undefined;
      throw error;
    }
    if (memory.length === length) {
      recordTakeOver("memory", name);
      return memory;
    }
    memory.close();
    return undefined;
  }

  /**
   * Makes memory without a name: it lives as long as somebody maps it or holds its descriptor, so nothing can be left
   * behind. Hand {@link SharedMemory.fildes} to a child through `Bun.spawn`'s `stdio`, which opens it with
   * {@link SharedMemory.fromDescriptor}.
   *
   * @param length Bytes, 1 to 4 GiB, zero and really allocated.
   * @throws {SystemCallError} `ENOSPC`, `ENOMEM`: no memory. `EMFILE`: no descriptor left (this one is kept until close).
   * @see https://man7.org/linux/man-pages/man2/memfd_create.2.html
   * @example
   * using memory = SharedMemory.anonymous(65536);
   * Bun.spawn(["bun", "child.ts"], { stdio: ["ignore", "inherit", "inherit", memory.fildes] }); // fd 3 over there
   */
  static anonymous(length: number): SharedMemory {
    assertLength(length, "anonymous memory");
    const fildes = check(
      "memfd_create",
      "anonymous memory",
      libc().memfd_create(cString("ipc"), MFD_CLOEXEC | MFD_ALLOW_SEALING),
    );
    try {
      allocate(fildes, length, "anonymous memory");
      return new SharedMemory(undefined, length, false, fildes, true);
    } catch (error) {
      libc().close(fildes);
      throw error;
    }
  }

  /**
   * Maps the memory behind a descriptor that this process inherited, and takes the descriptor over: it is closed with
   * the memory.
   *
   * @param options.readOnly As for {@link SharedMemory.open}; sealed memory can only be mapped so.
   * @throws {SystemCallError} `EBADF`: not an open descriptor. `EPERM`, `EACCES` from `mmap`: it is sealed or was opened
   *   without the right to write: pass `readOnly`. The descriptor stays open when this throws.
   */
  static fromDescriptor(fildes: number, options: { readOnly?: boolean } = {}): SharedMemory {
    return SharedMemory.#overDescriptor(undefined, fildes, options.readOnly ?? false, true);
  }

  /**
   * Removes a name, whoever made it. Those who map the object keep it.
   *
   * @param options.registered false when it was made so: then the registry need not be asked.
   * @returns Whether there was such a name.
   * @throws {SystemCallError} `EACCES`: it belongs to another user.
   */
  static unlink(name: ObjectName, options: { registered?: boolean } = {}): boolean {
    const existed = libc().shm_unlink(cString(name)) === 0;
    const failure = existed ? 0 : errno();
    if (!existed && failure !== ERRNO.ENOENT) throw new SystemCallError("shm_unlink", name, failure);
    if (options.registered !== false) recordRemoval("memory", name, existed);
    return existed;
  }

  static #overDescriptor(name: ObjectName | undefined, fildes: number, readOnly: boolean, keep: boolean): SharedMemory {
    const subject = name ?? `descriptor ${fildes}`;
    const status = statOf(fildes, subject);
    const { size, uid } = status;
    if (name !== undefined && uid !== process.geteuid?.()) {
      throw new SystemCallError("shm_open", name, ERRNO.EACCES, ownerAdvice(uid));
    }
    if (!status.isFile()) {
      throw new SystemCallError(
        "mmap",
        subject,
        ERRNO.EACCES,
        "it is not shared memory: something else has taken the name",
      );
    }
    if (size === 0) {
      throw new SystemCallError("mmap", subject, ERRNO.EINVAL, "it has no size yet: its creator is still making it");
    }
    if (size > LENGTH_MAX) {
      throw new SystemCallError("mmap", subject, ERRNO.EINVAL, `it has ${size} bytes, more than ${LENGTH_MAX}`);
    }
    return new SharedMemory(name, size, readOnly, fildes, keep);
  }

  /** All bytes of the object. Fetch it anew rather than keep it: after close a kept view is empty (length 0). */
  get bytes(): Uint8Array {
    this.#assertOpen();
    return this.#bytes;
  }

  /** The object as 32-bit integers in this machine's byte order, for `Atomics`, which work between processes here. */
  get i32(): Int32Array {
    this.#assertOpen();
    return this.#i32;
  }

  /** The object as 64-bit floating point numbers. An aligned one is never seen half written. */
  get f64(): Float64Array {
    this.#assertOpen();
    this.#f64 ??= new Float64Array(this.#buffer, 0, Math.floor(this.length / 8));
    return this.#f64;
  }

  /** The mapping itself, for views of other types. */
  get buffer(): ArrayBuffer {
    this.#assertOpen();
    return this.#buffer;
  }

  /** The descriptor of anonymous memory, to hand to a child; of memory with a name only with `keepsDescriptor`, to send from. */
  get fildes(): number | undefined {
    return this.#closed ? undefined : this.#fildes;
  }

  /** Whether views of it may only be read: writing through them ends the process with SIGSEGV. */
  get readOnly(): boolean {
    return this.#readOnly;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Makes anonymous memory immutable for ever and for everybody: neither bytes nor length can change. Views fetched
   * before become empty; fetch `bytes` anew, which is read-only from now on.
   *
   * @throws {SystemCallError} `EBUSY`: another process maps it writable. `EINVAL`: it has a name, only anonymous memory
   *   can be sealed. In both cases nothing has changed, except that the views have to be fetched anew.
   * @see https://man7.org/linux/man-pages/man2/F_ADD_SEALS.2const.html
   */
  seal(): void {
    this.#assertOpen();
    const { fildes } = this;
    if (fildes === undefined || this.name !== undefined) {
      throw new SystemCallError("fcntl", this.#subject, ERRNO.EINVAL, "only anonymous memory can be sealed");
    }
    detach(this.#buffer); // the kernel refuses the seal while a writable mapping exists
    const sealed = libc().fcntl(fildes, F_ADD_SEALS, F_SEAL_SEAL_SHRINK_GROW_WRITE) === 0;
    const failure = sealed ? 0 : errno();
    this.#readOnly ||= sealed;
    this.#remap(fildes);
    if (!sealed) throw new SystemCallError("fcntl", this.#subject, failure);
  }

  /** Removes the name. Mappings, this one included, stay. Doing it twice, or after somebody else, is no error. */
  unlink(): void {
    if (this.name !== undefined) SharedMemory.unlink(this.name, { registered: this.#registered });
  }

  /**
   * Unmaps. Kept views become empty, so that a late read gives `undefined` and `Atomics` throw; reading the getters
   * throws. A file or socket operation that is still using a view keeps the mapping until it has ended.
   */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    detach(this.#buffer);
    if (this.#fildes !== undefined) libc().close(this.#fildes);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  get #subject(): string {
    return this.name ?? "anonymous memory";
  }

  #assertOpen(): void {
    if (this.#closed) throw new Error(`Cannot use shared memory ${this.#subject}: it has been closed`);
  }

  #remap(fildes: number): void {
    this.#address = map(fildes, this.length, this.#readOnly, this.#subject);
    this.#buffer = adoptMapping(this.#address, this.length);
    this.#bytes = new Uint8Array(this.#buffer);
    this.#i32 = new Int32Array(this.#buffer, 0, Math.floor(this.length / 4));
    this.#f64 = undefined;
  }
}

/**
 * Makes an object that begins with `head`, without mapping it or writing it into the registry: a third of the time that
 * {@link SharedMemory.create} takes, when many are made.
 */
export function createUnmapped(name: ObjectName, length: number, head: Uint8Array): void {
  makeObject(name, length, 0o600, (fildes) => check("write", name, libc().write(fildes, head, head.length)));
}

/** Whether there is an object of this name and length with memory for all of it: to touch it is no SIGBUS, however full /dev/shm is. */
export function isWhole(name: ObjectName, length: number): boolean {
  const status = lstatSync(pathOf(name), { throwIfNoEntry: false });
  if (status === undefined || !status.isFile() || status.uid !== process.geteuid?.()) return false;
  return status.size === length && status.blocks * 512 >= length;
}

/** Makes an object of `length` bytes and uses its descriptor. When anything fails nothing is left. */
function makeObject<T>(name: ObjectName, length: number, mode: number, use: (fildes: number) => T): T {
  const path = cString(name);
  const oflag = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
  const fildes = check("shm_open", name, libc().shm_open(path, oflag, mode), { bytes: length });
  try {
    allocate(fildes, length, name);
    return use(fildes);
  } catch (error) {
    libc().shm_unlink(path);
    throw error;
  } finally {
    libc().close(fildes);
  }
}

/** What to say about an object of a stranger. */
export function ownerAdvice(uid: number): string {
  return `it belongs to user ${uid}, this process runs as user ${process.geteuid?.()}: use another name, or have that user remove it`;
}

function assertLength(length: number, subject: string): void {
  if (Number.isInteger(length) && length >= 1 && length <= LENGTH_MAX) return;
  throw new RangeError(`Cannot make ${subject} ${length} bytes long: lengths are integers from 1 to ${LENGTH_MAX}`);
}

function allocate(fildes: number, length: number, subject: string): void {
  let failure: number;
  // On tmpfs an interrupted fallocate gives back what it had taken, and says EINTR.
  do failure = libc().posix_fallocate(fildes, 0, length);
  while (failure === ERRNO.EINTR);
  if (failure === 0) return;
  const advice = limitAdvice("posix_fallocate", errorCode(failure), { bytes: length });
  throw new SystemCallError("posix_fallocate", subject, failure, advice);
}

function map(fildes: number, length: number, readOnly: boolean, subject: string): Address {
  const protection = readOnly ? PROT_READ : PROT_READ | PROT_WRITE;
  const address = libc().mmap(null, length, protection, MAP_SHARED, fildes, 0);
  if (address === -1n) throw new SystemCallError("mmap", subject, errno());
  return Number(address);
}

/** Empties every view of the buffer and unmaps its memory, at once unless something still uses it. */
function detach(buffer: ArrayBuffer): void {
  buffer.transfer(0);
}

function statOf(fildes: number, subject: string): Stats {
  try {
    return fstatSync(fildes);
  } catch (cause) {
    const failure = (cause as { errno?: number }).errno;
    throw new SystemCallError("fstat", subject, failure === undefined ? ERRNO.EINVAL : Math.abs(failure));
  }
}
