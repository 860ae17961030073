import { readdirSync, readFileSync } from "node:fs";

/** What a process holds at this moment. */
export interface ProcessUsage {
  residentBytes: number;
  /** Of these, what is no part of a file: private memory, and shared memory. */
  ownBytes: number;
  /** User and system, of all threads, since its start. */
  processorMs: number;
  /** Lines of /proc/PID/maps; the kernel allows 65,530. */
  mappings: number;
  descriptors: number;
}

export function processUsage(pid: number): ProcessUsage {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  const bytesOf = (line: string) => Number(new RegExp(`^${line}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) * 1024;
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  // Behind the name, which may hold anything: fields 3 and on. 14 and 15 are ticks of 10 ms.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return {
    residentBytes: bytesOf("VmRSS"),
    ownBytes: bytesOf("RssAnon") + bytesOf("RssShmem"),
    processorMs: 10 * (Number(fields[11]) + Number(fields[12])),
    mappings: readFileSync(`/proc/${pid}/maps`, "latin1").split("\n").length - 1,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
  };
}
