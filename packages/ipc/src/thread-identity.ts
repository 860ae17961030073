import { readFileSync, readlinkSync } from "node:fs";

/**
 * A thread, told from every other one of this boot: its ids, when it started (clock ticks since boot, field 22 of its
 * stat file), and the pid namespace in which the ids mean anything.
 */
export interface ThreadIdentity {
  readonly pid: number;
  readonly tid: number;
  readonly startTime: number;
  readonly pidNamespace: number;
}

/**
 * The calling thread: in a Worker, the Worker's.
 *
 * @throws {Error} Where there is no /proc.
 */
export function thisThread(): ThreadIdentity {
  const [pid, tid] = readlinkSync("/proc/thread-self").split("/task/").map(Number);
  const pidNamespace = Number(/\[(\d+)\]/.exec(readlinkSync("/proc/self/ns/pid"))?.[1] ?? 0);
  return { pid: pid!, tid: tid!, startTime: startTimeOf(pid!, tid!) ?? 0, pidNamespace };
}

/**
 * Whether a thread is provably dead: no thread has its ids, or one that started at another time. What can not be told
 * (another pid namespace, no descriptor left to look with) counts as alive.
 */
export function isDead(thread: ThreadIdentity, observer: ThreadIdentity): boolean {
  if (thread.pidNamespace !== observer.pidNamespace) return false;
  try {
    return startTimeOf(thread.pid, thread.tid) !== thread.startTime;
  } catch {
    return false;
  }
}

/** undefined: no such thread, or one that has ended and waits for its parent to notice. */
function startTimeOf(pid: number, tid: number): number | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/task/${tid}/stat`, "latin1");
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw error;
  }
  // The command, in parentheses, may itself hold spaces and parentheses: fields are counted from the last one.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? undefined : Number(fields[19]);
}
