import { ptr } from "bun:ffi";
import { ERRNO, SystemCallError } from "./errno.ts";
import { errno, libc } from "./libc.ts";

/** Number of preadv2 in asm/unistd.h: glibc has a wrapper since 2.26, musl since 1.2.5. */
const NUMBERS: Partial<Record<string, number>> = { x64: 327, arm64: 286 };
const PREADV2 = NUMBERS[process.arch];
const RWF_NOWAIT = 0x8;

// struct iovec: address and length, 64 bits each. An explicit ArrayBuffer: its memory stays where it is (one call at a time on each thread).
const iovec = new Uint32Array(new ArrayBuffer(16));

/**
 * Reads from a file what can be had without waiting for its medium: what is in the kernel's page cache.
 *
 * @param fildes A file open for reading; it stays the caller's.
 * @returns How many bytes are in `into`: fewer than fit where the next ones are not at hand, or the file ends. Always 0 where the file system can not tell (tmpfs,
 *   FUSE), or the kernel (before Linux 4.14). The kernel may begin to read ahead because of the question.
 * @throws {SystemCallError} `EIO` and the like. `EBADF`: not open for reading.
 * @see preadv2(2), RWF_NOWAIT
 * @example
 * const bytes = readAtHand(fildes, block, position);
 */
export function readAtHand(fildes: number, into: Uint8Array, position: number): number {
  if (PREADV2 === undefined || into.length === 0) return 0;
  const { syscall } = libc();
  const address = ptr(into); // good for this call only: nothing that could move the bytes comes before it
  iovec[0] = address >>> 0;
  iovec[1] = address / 2 ** 32;
  iovec[2] = into.length;
  const count = Number(syscall(PREADV2, fildes, iovec, 1, position, 0, RWF_NOWAIT));
  if (count >= 0) return count;
  const failure = errno();
  if (failure === ERRNO.EAGAIN || failure === ERRNO.EOPNOTSUPP || failure === ERRNO.ENOSYS) return 0;
  throw new SystemCallError("preadv2", `file descriptor ${fildes}`, failure);
}
