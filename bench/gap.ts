/**
 * How long is nobody served when a process is killed or stopped, or one of its threads hangs? A prober asks 50 times a second each for something hot over HTTP and over GETFILE and for something new, every time
 * on a connection of its own; the longest while between two answers is the gap (others may have been kept waiting meanwhile: see the slowest answer). Each kind of fault strikes once both processes have served for a while.
 *
 *   bun run bench/gap.ts [--faults 20] [--fault SIGKILL] [--again 100] [--busy 2] [--threads 2] [-- WEBPROXY OPTIONS]
 *
 * --fault: only of this kind (SIGKILL, SIGSTOP, spin: a thread computes without end, block: it waits in a system call, hold: a debugger has stopped it). --again: what
 * takes the place of the one that was struck is struck too, so many milliseconds after it serves. --busy: so many loops that want a processor all the time run beside.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Child } from "../tests/chaos/child.ts";
import { PROBES, type ProberReport } from "../tests/chaos/prober-process.ts";
import { blockThread, holdThread, spinThread } from "../tests/support/thread-fault.ts";
import { Webproxy } from "../tests/support/webproxy.ts";
import { eventually } from "../tests/support/within.ts";
import { machine, median } from "./support/machine.ts";

const { values: given, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    faults: { type: "string", default: "20" },
    fault: { type: "string" },
    again: { type: "string" },
    busy: { type: "string", default: "0" },
    threads: { type: "string", default: "2" },
  },
});
/** A process that has served for a second is well, and its next death a first one; by now the spare ones are loaded too. */
const WELL_MS = 2_300;
const RECOVERY_MS = 60_000;
type Side = "proxy" | "cache";
interface Fault {
  kind: "SIGKILL" | "SIGSTOP" | "spin" | "block" | "hold";
  sides: readonly Side[];
}
const FAULTS: readonly Fault[] = [
  { kind: "SIGKILL", sides: ["proxy"] },
  { kind: "SIGKILL", sides: ["cache"] },
  { kind: "SIGKILL", sides: ["proxy", "cache"] },
  ...(["SIGSTOP", "spin", "block", "hold"] as const).flatMap((kind) => [
    { kind, sides: ["proxy"] as const },
    { kind, sides: ["cache"] as const },
  ]),
];

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
  for (const fault of FAULTS.filter(({ kind }) => kind === (given.fault ?? kind))) report(fault, await suffer(fault));
} finally {
  for (const loop of busy) loop.kill();
}

async function suffer({ kind, sides }: Fault): Promise<ProberReport[]> {
  const reports: ProberReport[] = [];
  for (let count = 0; count < Number(given.faults); count++) {
    await Bun.sleep(WELL_MS);
    await prober.ask("report");
    await strikeAll(kind, sides);
    if (given.again !== undefined) {
      await Bun.sleep(Number(given.again));
      await strikeAll(kind, sides);
    }
    reports.push(await prober.ask("report"));
  }
  return reports;
}

/** Resolves once others serve in their place. */
async function strikeAll(kind: Fault["kind"], sides: readonly Side[]): Promise<void> {
  const stats = await webproxy.stats();
  const pids = sides.map((side) => stats[side]!.pid);
  const held = await Promise.all(sides.map((side, index) => strike(kind, pids[index]!, `${side} 0`)));
  for (const pid of pids) await eventually(RECOVERY_MS, "it is replaced", () => isReplaced(pid));
  for (const one of held) await one?.[Symbol.asyncDispose]();
}

async function strike(kind: Fault["kind"], pid: number, thread: string): Promise<AsyncDisposable | undefined> {
  if (kind === "hold") return holdThread(pid, thread);
  if (kind === "spin") await spinThread(pid, thread);
  else if (kind === "block") await blockThread(pid, thread);
  else process.kill(pid, kind);
  return undefined;
}

async function isReplaced(former: number): Promise<boolean> {
  const { proxy, cache } = await webproxy.stats();
  return [proxy, cache].every((side) => side?.state === "serving" && side.pid !== former);
}

function report({ kind, sides }: Fault, reports: readonly ProberReport[]): void {
  const what = kind.startsWith("SIG") ? kind : `${kind} a thread`;
  console.log(`${what} of the ${sides.join(" and the ")}`);
  for (const probe of PROBES) {
    const gaps = reports.map((one) => one[probe].longestGapMs);
    const [middle, most] = [median(gaps), Math.max(...gaps)].map((ms) => ms.toFixed(0));
    const slowest = Math.max(...reports.map((one) => one[probe].maxMs)).toFixed(0);
    const failed = reports.reduce((sum, one) => sum + one[probe].failed, 0);
    console.log(
      `  ${probe.padEnd(8)} median ${middle} ms, longest ${most} ms (${gaps.length} times); slowest answer ${slowest} ms, ${failed} cut off or none in 5 s`,
    );
  }
}
