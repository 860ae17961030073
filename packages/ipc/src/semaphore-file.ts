import { readdirSync } from "node:fs";
import { check } from "./check.ts";
import { ERRNO, SystemCallError } from "./errno.ts";
import { cString, errno, libc } from "./libc.ts";
import type { ObjectName } from "./object-name.ts";

const O_RDWR = 0o2;
const O_CLOEXEC = 0o2000000;
/** __O_TMPFILE with O_DIRECTORY, whose number differs between the two. */
const O_TMPFILE = 0o20000000 | (process.arch === "arm64" ? 0o40000 : 0o200000);
/** What open answers to it where the file system, or the kernel, does not know it. */
const EOPNOTSUPP = 95;
const EISDIR = 21;
const AT_FDCWD = -100;
const AT_SYMLINK_FOLLOW = 0x400;
const PROCESS_SHARED = 1;
/** sizeof(sem_t) on 64-bit Linux. */
const SEMAPHORE_BYTES = 32;

let hasMusl: boolean | undefined;

/**
 * Makes the file of a named semaphore, as sem_open(O_CREAT | O_EXCL) does, but whole or not at all: glibc writes a file
 * of a random name first and gives it the right one afterwards, so a process that is killed in between leaves
 * /dev/shm/sem.XXXXXX, of which nobody knows whose it is. Here the file has no name until it has the right one.
 *
 * @returns False when that is not possible here, and sem_open has to make it: on musl, which has other names, and where
 *   the file system of /dev/shm has no files without names.
 * @throws {SystemCallError} `EEXIST`: the name is taken. `EINVAL`: the value is above SEM_VALUE_MAX. `ENOSPC`, `EMFILE`.
 */
export function createSemaphoreFile(name: ObjectName, value: number, mode: number): boolean {
  hasMusl ??= libraries().some((file) => file.startsWith("ld-musl-"));
  if (hasMusl) return false;
  const bytes = new Uint8Array(new ArrayBuffer(SEMAPHORE_BYTES));
  check("sem_init", name, libc().sem_init(bytes, PROCESS_SHARED, value));
  const fildes = libc().open(cString("/dev/shm"), O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
  const failure = fildes === -1 ? errno() : 0;
  if (failure === EOPNOTSUPP || failure === EISDIR) return false;
  if (fildes === -1) throw new SystemCallError("open", name, failure);
  try {
    writeAll(fildes, bytes, name);
    const path = cString(`/dev/shm/sem.${name.slice(1)}`);
    const unnamed = cString(`/proc/self/fd/${fildes}`);
    check("linkat", name, libc().linkat(AT_FDCWD, unnamed, AT_FDCWD, path, AT_SYMLINK_FOLLOW));
    return true;
  } finally {
    libc().close(fildes);
  }
}

function libraries(): string[] {
  try {
    return readdirSync("/lib");
  } catch {
    return [];
  }
}

function writeAll(fildes: number, bytes: Uint8Array, name: ObjectName): void {
  for (;;) {
    if (libc().write(fildes, bytes, bytes.length) === bytes.length) return;
    const failure = errno();
    if (failure !== ERRNO.EINTR) throw new SystemCallError("write", name, failure);
  }
}
