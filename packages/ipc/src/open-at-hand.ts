import { ptr } from "bun:ffi";
import { constants } from "node:fs";
import { ERRNO, SystemCallError } from "./errno.ts";
import { cString, errno, libc } from "./libc.ts";

/** Number of openat2 in asm/unistd.h, the same everywhere; glibc has no wrapper. */
const OPENAT2 = 437;
const AT_FDCWD = -100;
const O_CLOEXEC = 0o2000000;
const RESOLVE_CACHED = 0x20;

/** Somebody would have to wait; or nobody can tell: a kernel without the call or the flag, a container that forbids it. */
const UNKNOWN = new Set<number>([ERRNO.EAGAIN, ERRNO.ENOSYS, ERRNO.EINVAL, ERRNO.EPERM, ERRNO.E2BIG]);

// struct open_how: flags, mode, resolve, 64 bits each. An explicit ArrayBuffer: its memory stays where it is, and nobody changes it.
const how = new BigUint64Array(new ArrayBuffer(24));
how[0] = BigInt(constants.O_RDONLY | constants.O_NOFOLLOW | O_CLOEXEC);
how[2] = BigInt(RESOLVE_CACHED);

/**
 * Opens an existing file for reading if that can be done without waiting for its medium: if the kernel has all names on the way, and the file's inode, in its
 * caches. A symbolic link in the last place is refused.
 *
 * @returns A file descriptor, which is the caller's to close; undefined where something would have to be read first, and always where the kernel can not tell (before
 *   Linux 5.12, or where the call is forbidden).
 * @throws {SystemCallError} `ENOENT`, `ELOOP`, `EMFILE` and the like, as `open`.
 * @see openat2(2), RESOLVE_CACHED
 * @example
 * const fildes = openAtHand(path);
 */
export function openAtHand(path: string): number | undefined {
  const { syscall } = libc();
  const fildes = Number(syscall(OPENAT2, AT_FDCWD, cString(path), ptr(how), how.byteLength, 0, 0));
  if (fildes >= 0) return fildes;
  const failure = errno();
  if (UNKNOWN.has(failure)) return undefined;
  throw new SystemCallError("openat2", `"${path}"`, failure);
}
