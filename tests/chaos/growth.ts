import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { type ProcessUsage, processUsage } from "../support/process-usage.ts";
import type { Stats, Webproxy } from "../support/webproxy.ts";

const MIB = 1024 * 1024;

/** A process at one moment. */
interface ProcessNow extends ProcessUsage {
  readonly pid: number;
  /** Of what is resident, the bodies on loan that it has mapped. */
  readonly lentBytes: number;
}

export type UsageOfAll = Record<"supervisor" | "proxy" | "cache", ProcessNow>;

/**
 * So much more may be held later. The supervisor lives all the time: whatever each fault left with it would add up, and besides a spare process that is being made nothing comes and goes there.
 * What has taken the place of another does not keep the same, and at the start connections of clients and to the origin come and go. A process that is looked at twice, and asked for nothing each
 * time, fills its memory tier at most meanwhile (48 MiB), beside what the engine's heap does by itself.
 */
const MORE_MAX = {
  supervisor: { descriptors: 8, bytes: 48 * MIB },
  successor: { descriptors: 40, bytes: 160 * MIB },
  same: { descriptors: 16, bytes: 128 * MIB },
};

export function usageOfAll({ pid }: Webproxy, { proxy, cache }: Stats): UsageOfAll {
  const now = (pid: number): ProcessNow => ({
    pid,
    ...processUsage(pid),
    descriptors: descriptorsOf(pid),
    lentBytes: lentBytesOf(pid),
  });
  return { supervisor: now(pid), proxy: now(proxy!.pid), cache: now(cache!.pid) };
}

/** Without those of bodies on loan: a thread of the proxy keeps up to 64 of them on purpose. */
function descriptorsOf(pid: number): number {
  const directory = `/proc/${pid}/fd`;
  return readdirSync(directory).filter((fildes) => {
    try {
      return !/\.body\./.test(readlinkSync(`${directory}/${fildes}`));
    } catch {
      return false; // it has been closed meanwhile
    }
  }).length;
}

/** In /proc/PID/smaps the lines about a mapping follow the one that begins with its addresses. */
function lentBytesOf(pid: number): number {
  const mappings = readFileSync(`/proc/${pid}/smaps`, "latin1").split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  const lent = mappings.filter((mapping) => /\.body\./.test(mapping.slice(0, mapping.indexOf("\n"))));
  return lent.reduce((bytes, mapping) => bytes + 1024 * Number(/^Rss:\s+(\d+) kB/m.exec(mapping)![1]), 0);
}

/** As with descriptors: the bodies on loan that a thread of the proxy keeps on purpose are the cache's. */
function countedBytes({ residentBytes, lentBytes }: ProcessNow): number {
  return residentBytes - lentBytes;
}

/** In words, what holds more than it may. */
export function growthSince(before: UsageOfAll, after: UsageOfAll): string[] {
  return (["supervisor", "proxy", "cache"] as const).flatMap((name) => {
    const isSame = before[name].pid === after[name].pid;
    const max = MORE_MAX[name === "supervisor" ? name : isSame ? "same" : "successor"];
    const descriptors = after[name].descriptors - before[name].descriptors;
    const bytes = countedBytes(after[name]) - countedBytes(before[name]);
    return [
      ...(descriptors > max.descriptors ? [`${name}: ${descriptors} descriptors more than before`] : []),
      ...(bytes > max.bytes ? [`${name}: ${bytes} bytes of memory more than before`] : []),
    ];
  });
}
