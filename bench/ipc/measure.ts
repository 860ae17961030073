import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, release, tmpdir } from "node:os";
import { type ObjectName, objectName } from "../../packages/ipc/src/index.ts";

/** Times of one loop, in nanoseconds. */
export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
}

/** What the numbers were measured on: without it they mean nothing. */
export function printMachine(question: string): void {
  const model = /^model name\s*:\s*(.+)$/m.exec(readFileSync("/proc/cpuinfo", "latin1"))?.[1] ?? process.arch;
  const load = readFileSync("/proc/loadavg", "latin1").split(" ")[0];
  console.log(
    `${question}\n${model}, ${availableParallelism()} cores, Linux ${release()}, Bun ${Bun.version}, load ${load}\n`,
  );
}

/** The middle and the hundredth worst of the times. */
export function percentiles(times: Float64Array): Percentiles {
  const sorted = times.toSorted();
  return { p50: sorted[Math.floor(sorted.length * 0.5)]!, p99: sorted[Math.floor(sorted.length * 0.99)]! };
}

/** Of several runs the one with the best middle: the machine has other work, and no run is faster than the truth. */
export function best(runs: readonly Percentiles[]): Percentiles {
  return runs.toSorted((one, other) => one.p50 - other.p50)[0]!;
}

export function microseconds(nanoseconds: number): string {
  return `${(nanoseconds / 1000).toFixed(2)} µs`;
}

export function benchName(text: string): ObjectName {
  return objectName(`/bench-${process.pid}-${text}`);
}

/** A C program of this folder, compiled for the time of `use`. */
export async function withCompiled<T>(source: string, use: (program: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(`${tmpdir()}/ipc-bench-`);
  try {
    const program = `${directory}/program`;
    const path = new URL(source, import.meta.url).pathname;
    const { exitCode, stderr } = Bun.spawnSync(["gcc", "-O2", "-o", program, path, "-lrt", "-lpthread"]);
    if (exitCode !== 0) throw new Error(`Cannot compile ${source}: ${stderr.toString()}`);
    return await use(program);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The one line of JSON that a program prints. */
export async function outputOf<T>(command: string[]): Promise<T> {
  const child = Bun.spawn(command, { stdout: "pipe", stderr: "inherit" });
  const text = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error(`Cannot run ${command.join(" ")}: it ended with ${child.exitCode}`);
  return JSON.parse(text) as T;
}
