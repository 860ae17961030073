import { errorCode, SystemCallError } from "./errno.ts";
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
