import { readdirSync, readlinkSync } from "node:fs";
import { type ProcessUsage, processUsage } from "../support/process-usage.ts";
import type { Stats, Webproxy } from "../support/webproxy.ts";

const MIB = 1024 * 1024;

/** A process at one moment. */
interface ProcessNow extends ProcessUsage {
  readonly pid: number;
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
  const now = (one: number): ProcessNow => ({ pid: one, ...processUsage(one), descriptors: descriptorsOf(one) });
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

/** Without the bodies on loan that a thread of the proxy keeps on purpose: they are the cache's, and what is shared has no more room than the run's own /dev/shm, where what leaked would fail everybody. */
function unsharedBytes({ residentBytes, sharedBytes }: ProcessUsage): number {
  return residentBytes - sharedBytes;
}

/** In words, what holds more than it may. */
export function growthSince(before: UsageOfAll, after: UsageOfAll): string[] {
  return (["supervisor", "proxy", "cache"] as const).flatMap((name) => {
    const isSame = before[name].pid === after[name].pid;
    const max = MORE_MAX[name === "supervisor" ? name : isSame ? "same" : "successor"];
    const descriptors = after[name].descriptors - before[name].descriptors;
    const bytes = unsharedBytes(after[name]) - unsharedBytes(before[name]);
    return [
      ...(descriptors > max.descriptors ? [`${name}: ${descriptors} descriptors more than before`] : []),
      ...(bytes > max.bytes ? [`${name}: ${bytes} bytes of memory more than before`] : []),
    ];
  });
}
