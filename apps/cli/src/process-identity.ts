import { readFileSync } from "node:fs";

/** Field 22 of /proc/PID/stat: when the process started, in clock ticks since the boot. Undefined when there is none of that pid. */
export function startTimeOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name in field 2 may hold blanks and parentheses: the fields go on behind the last one.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : Number(fields[19]);
  } catch {
    return undefined;
  }
}

/** Whether the very process that was described lives: a pid that was given to another one does not count. */
export function isAlive(process: { pid: number; startTime: number }): boolean {
  return startTimeOf(process.pid) === process.startTime;
}
