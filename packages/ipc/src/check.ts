import { SystemCallError } from "./errno.ts";
import { errno } from "./libc.ts";

/**
 * The result of a C call that reports failure as -1.
 *
 * Its arguments must be plain values: evaluating anything else between the call and this function could change errno.
 *
 * @throws {SystemCallError} When the result is -1, with what errno holds.
 */
export function check(syscall: string, subject: string, result: number): number {
  if (result === -1) throw new SystemCallError(syscall, subject, errno());
  return result;
}
