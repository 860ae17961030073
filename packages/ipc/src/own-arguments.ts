import { toArrayBuffer } from "bun:ffi";
import { readFileSync } from "node:fs";
import { pointer } from "./libc.ts";

/** `arg_start` of proc_pid_stat(5), counted from behind the command. */
const ARGUMENTS_START_FIELD = 45;

/**
 * Puts another word in the place of one of this process's arguments, so that the process list shows what the process does by now. `process.argv` stays as it was.
 *
 * @param from The whole argument; the first that is equal to it is replaced.
 * @param to As many bytes, in ASCII.
 * @returns Whether there was such an argument, and the kernel says where it is.
 * @throws {RangeError} The two are not of one length.
 * @see proc_pid_cmdline(5): programs may change it by writing to the memory that it shows.
 * @example
 * replaceArgument("spare", "proxy");
 */
export function replaceArgument(from: string, to: string): boolean {
  if (from.length !== to.length) {
    throw new RangeError(`Cannot put "${to}" in the place of the argument "${from}": it has another length`);
  }
  const shown = readFileSync("/proc/self/cmdline", "latin1");
  const at = shown.indexOf(`\0${from}\0`) + 1;
  const stat = readFileSync("/proc/self/stat", "latin1");
  const start = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[ARGUMENTS_START_FIELD]);
  if (at === 0 || !(start > 0)) return false;
  new Uint8Array(toArrayBuffer(pointer(start), at, from.length)).set(Buffer.from(to, "latin1"));
  return true;
}
