import { fstatSync, lstatSync, readSync } from "node:fs";
import { check, openUnleased } from "./check.ts";
import { ERRNO, SystemCallError } from "./errno.ts";
import { cString, errno, libc } from "./libc.ts";
import { type ObjectName, pathOf } from "./object-name.ts";
import { recordCreation, recordRemoval, removeOwnEntry } from "./registry.ts";
import { ownerAdvice } from "./shared-memory.ts";

const O_RDWR = 0o2;
const O_CREAT = 0o100;
const O_NONBLOCK = 0o4000;
const O_NOFOLLOW = process.arch === "arm64" ? 0o100000 : 0o400000;
const O_CLOEXEC = 0o2000000;
const LOCK_EX = 2;
const LOCK_NB = 4;

/**
 * A file that is locked and names nobody alive is one whose holder has not written its pid yet, or at which
 * {@link ExclusiveLock.holder} looks just now: so many looks, a millisecond apart, until it is a holder we can not see.
 */
const DOUBTS_MAX = 50;

/** Bytes of the file: a process id in decimal and a line feed, padded with spaces. */
const PID_BYTES = 12;

/**
 * An advisory lock with a name, which the kernel drops when its holder dies, whatever kills it: flock(2) on a file in
 * /dev/shm that holds its holder's pid. Nobody can be fooled by a left-over file: what counts is the lock, not the file.
 */
export class ExclusiveLock implements Disposable {
  readonly name: ObjectName;
  #fildes: number;

  private constructor(name: ObjectName, fildes: number) {
    this.name = name;
    this.#fildes = fildes;
  }

  /**
   * Takes the lock if nobody has it; waits for nobody who has it. Children do not inherit it.
   *
   * @returns The lock; or, when another process (or another holder in this one) has it, that one's pid (0 or a dead one's
   *   when it does not come to write its own within 50 ms).
   * @throws {SystemCallError} `EACCES`: the file belongs to another user. `ENOSPC`: /dev/shm is full. `EMFILE`.
   * @example
   * const lock = ExclusiveLock.tryAcquire(objectName("/my-app.lock"));
   * if (!(lock instanceof ExclusiveLock)) throw new Error(`already running as process ${lock.heldByPid}`);
   */
  static tryAcquire(name: ObjectName): ExclusiveLock | { heldByPid: number } {
    const isNew = recordCreation("lock", name);
    let lock: ExclusiveLock | { heldByPid: number } | undefined;
    try {
      lock = ExclusiveLock.#tryAcquire(name);
      return lock;
    } finally {
      if (isNew && !(lock instanceof ExclusiveLock)) removeOwnEntry("lock", name);
    }
  }

  static #tryAcquire(name: ObjectName): ExclusiveLock | { heldByPid: number } {
    for (let doubts = 0; ; ) {
      const fildes = openLockFile(name);
      try {
        if (!flockNow(fildes, name)) {
          const heldByPid = pidIn(fildes);
          libc().close(fildes);
          if (doubts === DOUBTS_MAX || isAlive(heldByPid)) return { heldByPid };
          doubts += 1;
          Bun.sleepSync(1);
          continue;
        }
        if (isStillNamed(fildes, name)) return ExclusiveLock.#begin(fildes, name);
      } catch (error) {
        libc().close(fildes);
        throw error;
      }
      libc().close(fildes); // its former holder removed the file between our open and our flock: this is not the lock
    }
  }

  /** A lock that could not be written down is let go of as any other: its file goes first. */
  static #begin(fildes: number, name: ObjectName): ExclusiveLock {
    try {
      writePid(fildes, name);
      return new ExclusiveLock(name, fildes);
    } catch (error) {
      libc().unlink(cString(pathOf(name)));
      throw error;
    }
  }

  /** The pid that the file of this name says holds the lock; undefined when nobody holds it. For reports only. */
  static holder(name: ObjectName): number | undefined {
    const path = cString(pathOf(name));
    const fildes = openUnleased(() => libc().open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW, 0));
    if (fildes === -1) {
      const failure = errno();
      if (failure === ERRNO.ENOENT) return undefined;
      throw new SystemCallError("open", name, failure);
    }
    try {
      return flockNow(fildes, name) ? undefined : pidIn(fildes);
    } finally {
      libc().close(fildes);
    }
  }

  /** Removes the file while the lock is still held, then lets go. Twice is no error. */
  release(): void {
    if (this.#fildes === -1) return;
    const path = cString(pathOf(this.name));
    if (isStillNamed(this.#fildes, this.name)) libc().unlink(path);
    recordRemoval("lock", this.name);
    libc().close(this.#fildes);
    this.#fildes = -1;
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

function openLockFile(name: ObjectName): number {
  const oflag = O_RDWR | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW;
  const path = cString(pathOf(name));
  const fildes = check(
    "open",
    name,
    openUnleased(() => libc().open(path, oflag, 0o600)),
  );
  const status = fstatSync(fildes);
  if (status.uid === process.geteuid?.() && status.isFile()) return fildes;
  libc().close(fildes);
  const advice = status.isFile() ? ownerAdvice(status.uid) : "it is not a lock file: something else has taken the name";
  throw new SystemCallError("open", name, ERRNO.EACCES, advice);
}

function flockNow(fildes: number, name: ObjectName): boolean {
  for (;;) {
    if (libc().flock(fildes, LOCK_EX | LOCK_NB) === 0) return true;
    const failure = errno();
    if (failure === ERRNO.EAGAIN) return false;
    if (failure !== ERRNO.EINTR) throw new SystemCallError("flock", name, failure);
  }
}

function isStillNamed(fildes: number, name: ObjectName): boolean {
  const there = lstatSync(pathOf(name), { throwIfNoEntry: false });
  const ours = fstatSync(fildes);
  return there !== undefined && there.ino === ours.ino && there.dev === ours.dev;
}

function writePid(fildes: number, name: ObjectName): void {
  const text = new Uint8Array(new ArrayBuffer(PID_BYTES));
  text.set(new TextEncoder().encode(`${process.pid}`.padEnd(PID_BYTES - 1)));
  text[PID_BYTES - 1] = 0x0a;
  // The file is fresh or was left by a dead holder: the offset is 0, and the same number of bytes covers the old ones.
  check("write", name, libc().write(fildes, text, PID_BYTES));
}

function pidIn(fildes: number): number {
  const text = Buffer.alloc(PID_BYTES);
  const length = readSync(fildes, text, 0, PID_BYTES, 0);
  return Number.parseInt(text.toString("latin1", 0, length), 10) || 0;
}

function isAlive(pid: number): boolean {
  if (pid === 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: string }).code !== "ESRCH";
  }
}
