import { ERRNO, errorCode, SystemCallError } from "./errno.ts";
import { errno } from "./libc.ts";
import { type Asked, limitAdvice } from "./limits.ts";

/**
 * The result of a C call that reports failure as -1.
 *
 * Its arguments must be plain values: evaluating anything else between the call and this function could change errno.
 *
 * @param asked What the call asked for, to say which limit was in its way.
 * @throws {SystemCallError} When the result is -1, with what errno holds.
 */
export function check(syscall: string, subject: string, result: number, asked?: Asked): number {
  if (result !== -1) return result;
  const failure = errno();
  throw new SystemCallError(syscall, subject, failure, limitAdvice(syscall, errorCode(failure), asked));
}

/** A cleaner that asks whether an object is in use holds a lease on it for microseconds; 100 ms is a stopped cleaner. */
const LEASE_TRIES_MAX = 100;

/**
 * Opens with O_NONBLOCK, so that neither a FIFO that a stranger has put there nor a lease can block this thread. While
 * there is a lease (EAGAIN) it tries again.
 *
 * @param open Calls the C function and returns its result.
 */
export function openUnleased(open: () => number): number {
  for (let tries = 1; ; tries++) {
    const fildes = open();
    if (fildes !== -1 || tries === LEASE_TRIES_MAX || errno() !== ERRNO.EAGAIN) return fildes;
    Bun.sleepSync(1);
  }
}
