import { readFileSync } from "node:fs";
import { libc } from "./libc.ts";
import { thisThread } from "./thread-identity.ts";

/** The kernel's id of the calling thread: in a Worker, the Worker's. */
export function ownThreadId(): number {
  return thisThread().tid;
}

/**
 * Whether a process is stopped (SIGSTOP): none of its threads runs until it is continued. One that a debugger holds is not meant; what can not be told
 * is taken for not stopped.
 */
export function isStopped(pid: number): boolean {
  return stateOf(`/proc/${pid}/stat`) === "T";
}

/**
 * Whether a thread waits for a disk just now, or for memory that has to come from one (proc_pid_stat(5), state D): nothing ends that wait before the device answers, SIGKILL neither. What
 * can not be told is taken for no.
 */
export function waitsForDisk(pid: number, threadId: number): boolean {
  return stateOf(`/proc/${pid}/task/${threadId}/stat`) === "D";
}

function stateOf(path: string): string | undefined {
  try {
    const stat = readFileSync(path, "latin1");
    // The command, in parentheses, may itself hold spaces and parentheses: fields are counted from the last one.
    return stat.charAt(stat.lastIndexOf(")") + 2);
  } catch {
    return undefined;
  }
}

/**
 * For how many milliseconds of its life a thread was ready to run and had no processor (proc_pid_schedstat(5)); 0 where the kernel does not say. What a thread
 * does not do in that time is not its fault.
 */
export function processorWaitMs(pid: number, threadId: number): number {
  try {
    const waitNs = Number(readFileSync(`/proc/${pid}/task/${threadId}/schedstat`, "latin1").split(" ")[1]);
    return Number.isFinite(waitNs) ? waitNs / 1e6 : 0;
  } catch {
    return 0;
  }
}

/** struct sched_attr of linux/sched/types.h, as its first version had it; `runtime` is the slice, in nanoseconds. */
const ATTRIBUTES = { bytes: 48, policy: 4, runtime: 24 } as const;
const SCHED_OTHER = 0;
/** Numbers of asm/unistd.h: glibc has no wrapper before 2.41. */
const SYSCALLS: Partial<Record<string, { set: number; get: number }>> = {
  x64: { set: 314, get: 315 },
  arm64: { set: 274, get: 275 },
};

/**
 * Asks the scheduler for shorter turns on the processor for the calling thread, which then come sooner: among threads that share a processor, one that has little to do each
 * time it wakes, such as an event loop, waits less for those that compute. Its share of the processor stays what it was; so does its nice value.
 *
 * @param microseconds 100 to 100,000; the kernel's own default is some milliseconds.
 * @returns Whether the kernel grants it. Not: before Linux 6.12, or for a thread that is not scheduled as others are (SCHED_OTHER).
 * @see sched_setattr(2); Documentation/scheduler/sched-eevdf.rst
 * @example
 * requestSlice(400);
 */
export function requestSlice(microseconds: number): boolean {
  const numbers = SYSCALLS[process.arch];
  if (numbers === undefined) return false;
  const attributes = new DataView(new ArrayBuffer(ATTRIBUTES.bytes));
  const bytes = new Uint8Array(attributes.buffer);
  const read = () => libc().syscall(numbers.get, 0, bytes, ATTRIBUTES.bytes, 0, 0, 0) === 0n;
  if (!read() || attributes.getUint32(ATTRIBUTES.policy, true) !== SCHED_OTHER) return false;
  const slice = BigInt(microseconds) * 1000n;
  attributes.setBigUint64(ATTRIBUTES.runtime, slice, true);
  if (libc().syscall(numbers.set, 0, bytes, 0, 0, 0, 0) !== 0n) return false;
  return read() && attributes.getBigUint64(ATTRIBUTES.runtime, true) === slice;
}
