import { constants } from "node:os";
import { limitAdvice } from "./limits.ts";

/** Linux numbers that `node:os` does not name. The generic table of asm-generic/errno.h, which x64 and arm64 share. */
const UNNAMED: ReadonlyArray<readonly [string, number]> = [
  ["EOWNERDEAD", 130],
  ["ENOTRECOVERABLE", 131],
];

/** The numbers that this package branches on, as Linux on x64 and arm64 has them. */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  ENXIO: 6,
  E2BIG: 7,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  EPIPE: 32,
  ENOSYS: 38,
  ENODATA: 61,
  EOPNOTSUPP: 95,
  ENOBUFS: 105,
  ETIMEDOUT: 110,
  EOWNERDEAD: 130,
} as const;

const CODES = new Map<number, string>();
for (const [code, number] of Object.entries(constants.errno)) if (!CODES.has(number)) CODES.set(number, code);
for (const [code, number] of UNNAMED) CODES.set(number, code);
CODES.set(ERRNO.EAGAIN, "EAGAIN"); // the same number as EWOULDBLOCK: POSIX names mq_send's failure EAGAIN

/** The name of an error number, such as `ENOSPC` for 28; `E28` for one that Linux does not define. */
export function errorCode(errno: number): string {
  return CODES.get(errno) ?? `E${errno}`;
}

/**
 * The kernel refused. Branch on `code`; the message is for people: what was tried, on what, why it failed, and, where a
 * limit is the cause, which one and how to raise it.
 */
export class SystemCallError extends Error {
  override readonly name = "SystemCallError";
  /** Name of the refused error, such as `ENOSPC`. */
  readonly code: string;
  readonly syscall: string;
  readonly subject: string;
  readonly errno: number;
  readonly advice: string | undefined;

  /**
   * @param syscall The C function that failed, such as `shm_open`.
   * @param subject What it was called on: an object's name, or a description of it.
   * @param errno The error number it left.
   * @param advice What to do about it; by default what {@link limitAdvice} knows of the errno alone.
   */
  constructor(
    syscall: string,
    subject: string,
    errno: number,
    advice: string | undefined = limitAdvice(syscall, errorCode(errno)),
  ) {
    const code = errorCode(errno);
    super(`Cannot ${syscall} ${JSON.stringify(subject)}: ${code}${advice === undefined ? "" : `; ${advice}`}`);
    this.code = code;
    this.syscall = syscall;
    this.subject = subject;
    this.errno = errno;
    this.advice = advice;
  }
}
