import { readdirSync, readFileSync } from "node:fs";
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

/** What a thread does at the moment, and what it has had of the processors in its life. */
export interface ThreadTimes {
  /**
   * `ready`: it runs, or would if it were given a processor. `disk`: it waits for a disk, or for memory that has to come from one (proc_pid_stat(5), state D): nothing ends that wait
   * before the device answers, SIGKILL neither. `lock`: it waits in futex(2), for another thread of its process as a rule. `other`: it waits for something else, is stopped, or it can
   * not be told.
   */
  readonly state: "ready" | "disk" | "lock" | "other";
  /** For how many milliseconds it has run; 0 where the kernel does not say. */
  readonly ranMs: number;
  /**
   * For how many milliseconds it was ready to run and had no processor (proc_pid_schedstat(5)); 0 where the kernel does not say. A wait is added when it is over: of one that lasts, nothing
   * is to be seen here but that neither number grows while the thread is ready.
   */
  readonly waitedMs: number;
}

/**
 * Asks the kernel about a thread of any process. What a thread does not do while it has no processor is not its fault.
 *
 * @param threadId The kernel's; see {@link ownThreadId}.
 * @example
 * const { waitedMs } = threadTimes(process.pid, ownThreadId());
 */
export function threadTimes(pid: number, threadId: number): ThreadTimes {
  const task = `/proc/${pid}/task/${threadId}`;
  const [ranNs = 0, waitedNs = 0] = schedulingOf(task);
  return { state: threadState(task), ranMs: ranNs / 1e6, waitedMs: waitedNs / 1e6 };
}

/**
 * For how many milliseconds the threads of a process were ready to run and had no processor, all together. Those of threads that have ended are not in it: it may become less.
 *
 * @returns 0 where the kernel does not say, and of a process that is no more.
 */
export function waitedOfAllMs(pid: number): number {
  let waitedNs = 0;
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`))
      waitedNs += schedulingOf(`/proc/${pid}/task/${thread}`)[1] ?? 0;
  } catch {
    // It has ended.
  }
  return waitedNs / 1e6;
}

function threadState(task: string): ThreadTimes["state"] {
  switch (stateOf(`${task}/stat`)) {
    case "R":
      return "ready";
    case "D":
      return "disk";
    case "S":
      return waitsForLock(task) ? "lock" : "other";
    default:
      return "other";
  }
}

/** By the kernel's function that it sleeps in: futex_do_wait, futex_wait_queue or futex_wait_queue_me, as the kernel's version is. */
function waitsForLock(task: string): boolean {
  try {
    return readFileSync(`${task}/wchan`, "latin1").startsWith("futex_");
  } catch {
    return false;
  }
}

function schedulingOf(task: string): number[] {
  try {
    return readFileSync(`${task}/schedstat`, "latin1").split(" ").map(Number);
  } catch {
    return [];
  }
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

/** struct sched_attr of linux/sched/types.h, as its first version had it; `runtime` is the slice, in nanoseconds. */
const ATTRIBUTES = { bytes: 48, policy: 4, runtime: 24 } as const;
const SCHED_OTHER = 0;
const SCHED_BATCH = 3;
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
 * @param options.preempts Whether it takes the processor from who has it as soon as it wakes (default true). If not (SCHED_BATCH), it has its turn when that one's is over: more has come for it by
 *   then, which it does in one go.
 * @returns Whether the kernel grants the slice. Not: before Linux 6.12, or for a thread that is not scheduled as others are (SCHED_OTHER, SCHED_BATCH).
 * @see sched_setattr(2); Documentation/scheduler/sched-eevdf.rst
 * @example
 * requestSlice(400);
 */
export function requestSlice(microseconds: number, options: { preempts?: boolean } = {}): boolean {
  const numbers = SYSCALLS[process.arch];
  if (numbers === undefined) return false;
  const attributes = new DataView(new ArrayBuffer(ATTRIBUTES.bytes));
  const bytes = new Uint8Array(attributes.buffer);
  const read = () => libc().syscall(numbers.get, 0, bytes, ATTRIBUTES.bytes, 0, 0, 0) === 0n;
  if (!read() || ![SCHED_OTHER, SCHED_BATCH].includes(attributes.getUint32(ATTRIBUTES.policy, true))) return false;
  attributes.setUint32(ATTRIBUTES.policy, options.preempts === false ? SCHED_BATCH : SCHED_OTHER, true);
  const slice = BigInt(microseconds) * 1000n;
  attributes.setBigUint64(ATTRIBUTES.runtime, slice, true);
  if (libc().syscall(numbers.set, 0, bytes, 0, 0, 0, 0) !== 0n) return false;
  return read() && attributes.getBigUint64(ATTRIBUTES.runtime, true) === slice;
}
