import { readFileSync } from "node:fs";
import { availableParallelism, loadavg, release } from "node:os";

/** What a number without it means nothing: the machine, the versions, and how busy it is with other work. */
export function machine(): string {
  const model = /^model name\s*:\s*(.*)$/m.exec(readFileSync("/proc/cpuinfo", "latin1"))?.[1] ?? process.arch;
  const [load = 0] = loadavg();
  return `${availableParallelism()} cores of ${model}, Linux ${release()}, Bun ${Bun.version}, load ${load.toFixed(1)} before the run`;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}
