import { readFileSync } from "node:fs";

/** How a process is, or one of its threads, in the letter of proc(5): T is stopped, t is held by a debugger; undefined: it is no more. */
export function stateOf(pid: number, thread?: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/${thread === undefined ? "" : `task/${thread}/`}stat`, "latin1");
    return stat[stat.lastIndexOf(")") + 2];
  } catch {
    return undefined;
  }
}

/** Whether it has ended, whoever still has to be told. */
export function isGone(pid: number): boolean {
  return [undefined, "Z", "X"].includes(stateOf(pid));
}

/** What a process has mapped, and may map in all; Infinity where there is no limit (RLIMIT_AS). Undefined: it is no more. */
export function mappedBytes(pid: number): { mapped: number; limit: number } | undefined {
  try {
    const mappedKib = /^VmSize:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
    const limit = /^Max address space\s+(\S+)/m.exec(readFileSync(`/proc/${pid}/limits`, "latin1"))?.[1];
    if (mappedKib === undefined || limit === undefined) return undefined; // it is ending
    return {
      mapped: Number(mappedKib) * 1024,
      limit: limit === "unlimited" ? Number.POSITIVE_INFINITY : Number(limit),
    };
  } catch {
    return undefined;
  }
}

/** The soft limit alone: who has lowered the hard one may not be allowed to raise it again. */
export function limitMapped(pid: number, bytes: number): void {
  const limit = Number.isFinite(bytes) ? String(bytes) : "unlimited";
  Bun.spawnSync(["prlimit", "--pid", String(pid), `--as=${limit}:`], { stderr: "ignore" });
}
