import { startTimeOf } from "@proj/ipc";

/**
 * Whether the process with this pid and this start time lives. One that was killed and not yet reaped does not; another process that was
 * given the same pid is not it. Where it can not be told (no descriptor left to look with), it does.
 */
export function isAlive(pid: number, startTime: number): boolean {
  return lives(pid, startTime) ?? true;
}

/** As {@link isAlive}, for whoever must not be wrong about it: where it can not be told, no. */
export function isSurelyAlive(pid: number, startTime: number): boolean {
  return lives(pid, startTime) ?? false;
}

/** Undefined: it can not be told. */
function lives(pid: number, startTime: number): boolean | undefined {
  try {
    return startTimeOf(pid) === startTime;
  } catch {
    return undefined;
  }
}
