import { readFileSync } from "node:fs";

/** State and start time of a process, as /proc/PID/stat tells them; undefined when there is no such process. */
function stat(pid: number): { state: string; startTime: number } | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined;
  }
  // The second field is the command in parentheses, which may hold blanks and parentheses of its own.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0]!, startTime: Number(fields[19]) };
}

/** Field 22 of /proc/PID/stat: with the pid it names one process for as long as the machine runs. */
export function startTimeOf(pid: number): number {
  return stat(pid)?.startTime ?? 0;
}

/**
 * Whether the process with this pid and this start time lives. One that was killed and not yet reaped does not; another process that was
 * given the same pid is not it.
 */
export function isAlive(pid: number, startTime: number): boolean {
  const now = stat(pid);
  return now !== undefined && now.startTime === startTime && now.state !== "Z" && now.state !== "X";
}
