import { readFileSync } from "node:fs";
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
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The command, in parentheses, may itself hold spaces and parentheses: fields are counted from the last one.
    return stat.charAt(stat.lastIndexOf(")") + 2) === "T";
  } catch {
    return false;
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
