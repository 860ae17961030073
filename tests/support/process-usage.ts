import { readdirSync, readFileSync } from "node:fs";

/** What a process holds at this moment. */
export interface ProcessUsage {
  residentBytes: number;
  /** Lines of /proc/PID/maps; the kernel allows 65,530. */
  mappings: number;
  descriptors: number;
}

export function processUsage(pid: number): ProcessUsage {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  return {
    residentBytes: Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024,
    mappings: readFileSync(`/proc/${pid}/maps`, "latin1").split("\n").length - 1,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
  };
}
