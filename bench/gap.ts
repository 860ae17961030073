/**
 * How long is nobody served when a process is killed or stopped? A prober asks 50 times a second each for something hot over HTTP and over GETFILE and for something new, every time
 * on a connection of its own; the longest while between two answers is the gap. Each kind of fault strikes once both processes have served for a while.
 *
 *   bun run bench/gap.ts [--faults 20] [--signal SIGKILL] [--busy 2] [--threads 2] [-- WEBPROXY OPTIONS]
 *
 * --signal: only faults of this signal. --busy: so many loops that want a processor all the time run beside.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Child } from "../tests/chaos/child.ts";
import { PROBES, type ProberReport } from "../tests/chaos/prober-process.ts";
import { Webproxy } from "../tests/support/webproxy.ts";
import { eventually } from "../tests/support/within.ts";
import { machine, median } from "./support/machine.ts";

const { values: given, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    faults: { type: "string", default: "20" },
    signal: { type: "string" },
    busy: { type: "string", default: "0" },
    threads: { type: "string", default: "2" },
  },
});
/** A process that has served for two seconds is well: its next death is a first one. */
const WELL_MS = 2_300;
const RECOVERY_MS = 60_000;
const FAULTS = [
  { signal: "SIGKILL", sides: ["proxy"] },
  { signal: "SIGKILL", sides: ["cache"] },
  { signal: "SIGKILL", sides: ["proxy", "cache"] },
  { signal: "SIGSTOP", sides: ["proxy"] },
  { signal: "SIGSTOP", sides: ["cache"] },
] as const;

console.log(`${machine()}; ${given.busy} busy loops beside`);
const CHAOS = join(import.meta.dir, "../tests/chaos");
await using origin = new Child<{ port?: number }>(join(CHAOS, "origin-process.ts"));
const { port } = await origin.heard();
await using webproxy = await Webproxy.start({
  origin: `http://127.0.0.1:${port}`,
  args: ["--threads", given.threads, ...positionals],
});
await using prober = new Child<ProberReport>(join(CHAOS, "prober-process.ts"), {
  args: [String(webproxy.http.port), String(webproxy.getfile.port)],
});
await prober.heard();
await Bun.sleep(1_000);
const busy = Array.from({ length: Number(given.busy) }, () => Bun.spawn([process.execPath, "-e", "for (;;);"]));
try {
  for (const fault of FAULTS.filter(({ signal }) => signal === (given.signal ?? signal)))
    report(fault, await suffer(fault));
} finally {
  for (const loop of busy) loop.kill();
}

async function suffer({ signal, sides }: (typeof FAULTS)[number]): Promise<ProberReport[]> {
  const reports: ProberReport[] = [];
  for (let count = 0; count < Number(given.faults); count++) {
    await Bun.sleep(WELL_MS);
    const stats = await webproxy.stats();
    await prober.ask("report");
    const pids = sides.map((side) => stats[side]!.pid);
    for (const pid of pids) process.kill(pid, signal);
    for (const pid of pids) await eventually(RECOVERY_MS, "it is replaced", () => isReplaced(pid));
    reports.push(await prober.ask("report"));
  }
  return reports;
}

async function isReplaced(former: number): Promise<boolean> {
  const { proxy, cache } = await webproxy.stats();
  return [proxy, cache].every((side) => side?.state === "serving" && side.pid !== former);
}

function report({ signal, sides }: (typeof FAULTS)[number], reports: readonly ProberReport[]): void {
  console.log(`${signal} of the ${sides.join(" and the ")}`);
  for (const probe of PROBES) {
    const gaps = reports.map((one) => one[probe].longestGapMs);
    const [middle, most] = [median(gaps), Math.max(...gaps)].map((ms) => ms.toFixed(0));
    console.log(`  ${probe.padEnd(8)} median ${middle} ms, longest ${most} ms (${gaps.length} times)`);
  }
}
