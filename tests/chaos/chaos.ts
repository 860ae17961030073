import { existsSync } from "node:fs";
import { join } from "node:path";
import { type ProcessUsage, processUsage } from "../support/process-usage.ts";
import { faultCounts, ownChannel, type Stats, Webproxy } from "../support/webproxy.ts";
import { eventually, within } from "../support/within.ts";
import { Child } from "./child.ts";
import { Clients, type Tally } from "./clients.ts";
import { type Fault, someFault, type Target } from "./faults.ts";
import { objectsIn, openArena } from "./namespace.ts";
import { PROBES, type ProbeName, type ProberReport } from "./prober-process.ts";
import { SeededRandom } from "./random.ts";

/** Both processes have to serve again within this time after any fault, on however busy a machine. */
const RECOVERY_MS = 30_000;

/** Connections to the origin that nobody uses are kept for four seconds: while there is no cache there are many. */
const IDLE_MS = 6_000;

export interface ChaosOptions {
  seconds: number;
  seed: number;
  clients: number;
  say: (line: string) => void;
  /** Called once, when the load begins, with what tells the counts at any time. */
  began?: (counts: () => string) => void;
}

export interface ChaosReport {
  seconds: number;
  faults: Record<string, number>;
  /** Deaths of either process, however they came. */
  restarts: { proxy: number; cache: number };
  tally: Tally;
  /** The longest while in which the prober was not served, by what it asked for; without those in which there was no origin. */
  longestGapMs: Record<ProbeName, { ms: number; during: string }>;
  /** What must not be, in words: wrong bytes, hangs, left-overs, growth, counters that must stay 0. */
  complaints: string[];
  usage: { before: UsageOfAll; after: UsageOfAll };
}

interface UsageOfAll {
  supervisor: ProcessUsage;
  proxy: ProcessUsage;
  cache: ProcessUsage;
}

/**
 * Real processes under mixed load, every byte compared, while a script that the seed decides kills, stops, continues, truncates, fills /dev/shm and the
 * disk, and cuts the origin.
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { seed, say } = options;
  await using origin = new Child<{ port?: number }>(join(import.meta.dir, "origin-process.ts"));
  const originPort = (await origin.heard()).port!;
  const channel = ownChannel();
  const disk = join("/var/tmp", `webproxy-chaos-${channel}`);
  await using arena = await openArena(disk, { sharedMemory: "96m", disk: "96m" });
  await using webproxy = await Webproxy.start({
    origin: `http://127.0.0.1:${originPort}`,
    channel,
    wrap: arena.wrap,
    args: [
      ...["--cache-dir", disk, "--memory", "48MiB", "--disk", "64MiB", "--hot", "2MiB"],
      ...["--segments", "32", "--segment-size", "64KiB"],
    ],
  });
  const random = new SeededRandom(seed);
  const target: Target = { webproxy, arena, origin, random };
  const run = new Run(target, options);
  const prober = new Child<ProberReport>(join(import.meta.dir, "prober-process.ts"), {
    args: [String(webproxy.http.port), String(webproxy.getfile.port)],
  });
  await using _prober = prober;
  await prober.heard();
  say(
    `seed ${seed}; ${arena.isOwn ? "own /dev/shm and disk of 96 MiB each" : "no namespace of its own: nothing is filled"}`,
  );
  try {
    return await run.all(prober);
  } catch (error) {
    say(`${error}`); // what the scope's ends add to it would hide it
    throw error;
  }
}

/** One run: its clients, its faults, its sums. */
class Run {
  readonly #target: Target;
  readonly #options: ChaosOptions;
  readonly #complaints: string[] = [];
  readonly #faults: Record<string, number> = {};
  readonly #gaps = Object.fromEntries(
    PROBES.map((name) => [name, { ms: 0, during: "" }]),
  ) as ChaosReport["longestGapMs"];

  constructor(target: Target, options: ChaosOptions) {
    this.#target = target;
    this.#options = options;
  }

  async all(prober: Child<ProberReport>): Promise<ChaosReport> {
    const { webproxy, arena } = this.#target;
    const { seconds, clients: count, seed, say } = this.#options;
    const started = performance.now();
    const clients = new Clients({ http: webproxy.http, getfile: webproxy.getfile }, count, seed);
    this.#options.began?.(() => this.#counts(clients));
    const before = await this.#settledUsage(clients);
    await prober.ask("report");
    while (performance.now() - started < seconds * 1000 && this.#complaints.length === 0) {
      const fault = someFault(this.#target.random, arena);
      await this.#suffer(fault, prober, clients);
      await Bun.sleep(this.#target.random.between(0, 1_500));
      if (clients.complaints.length > 0) break;
    }
    const took = (performance.now() - started) / 1000;
    await within(120_000, "every client has an answer", clients.stop());
    const stats = await this.#recovered("the end");
    this.#complaints.push(...clients.complaints);
    await this.#expectNothingHeld();
    await Bun.sleep(IDLE_MS);
    const after = await this.#usage(stats);
    this.#compareUsage(before, after);
    await this.#expectCleanEnd();
    say(`${took.toFixed(0)} s over`);
    return {
      seconds: took,
      faults: this.#faults,
      restarts: stats.restarts,
      tally: clients.tally,
      longestGapMs: this.#gaps,
      complaints: this.#complaints,
      usage: { before, after },
    };
  }

  async #suffer(fault: Fault, prober: Child<ProberReport>, clients: Clients): Promise<void> {
    const { say } = this.#options;
    const began = performance.now();
    this.#faults[fault.name] = (this.#faults[fault.name] ?? 0) + 1;
    try {
      // Of the lives that the fault may end. (A stored file that has gone is counted with the checksums; docs/reliability.md says what is known of that.)
      const { lostWakeups, doubleGiveBacks } = await this.#target.webproxy.stats();
      this.#expectNone({ lostWakeups, doubleGiveBacks });
      const ended = await fault.run(this.#target);
      await this.#recovered(fault.name, ended);
    } catch (error) {
      this.#complaints.push(`${fault.name}: ${error}`);
    }
    const recoveredMs = performance.now() - began;
    const report = await prober.ask("report");
    for (const name of PROBES) {
      const { longestGapMs } = report[name];
      // Without the origin nobody can be given something new.
      if (fault.cutsOrigin === true && name === "miss") continue;
      if (longestGapMs > this.#gaps[name].ms) this.#gaps[name] = { ms: longestGapMs, during: fault.name };
    }
    const gaps = PROBES.map((name) => `${name} ${report[name].longestGapMs.toFixed(0)}`).join(", ");
    if (fault.cutsOrigin === true) {
      // While something new could not be had is told once it has ended: it is not the next fault's.
      await eventually(
        RECOVERY_MS,
        "something new is served",
        async () => (await prober.ask("report")).miss.served > 0,
      );
    }
    say(`${fault.name}: well after ${recoveredMs.toFixed(0)} ms, longest gaps ${gaps} ms; ${wordsOf(clients.tally)}`);
  }

  #counts(clients: Clients): string {
    const faults = Object.values(this.#faults).reduce((sum, count) => sum + count, 0);
    return `${faults} faults, ${wordsOf(clients.tally)}`;
  }

  /** Both serve, none of them one of those that have been ended, and the supervisor says so. */
  async #recovered(after: string, ended: readonly number[] = []): Promise<Stats> {
    const { webproxy } = this.#target;
    try {
      return await eventually(RECOVERY_MS, `both processes serve after "${after}"`, async () => {
        const { host, port } = webproxy.admin;
        const { status } = await fetch(`http://${host}:${port}/readyz`, { headers: { connection: "close" } });
        if (status !== 200) return undefined;
        const stats = await webproxy.stats();
        const isGood = (side: Stats["proxy"] | Stats["cache"]) =>
          side?.state === "serving" && !ended.includes(side.pid);
        return isGood(stats.proxy) && isGood(stats.cache) ? stats : undefined;
      });
    } catch (error) {
      throw new Error(`${error}; webproxy said ${webproxy.stderr.slice(-4_000)}`);
    }
  }

  /** What the processes hold once they have worked for a while. */
  async #settledUsage(clients: Clients): Promise<UsageOfAll> {
    await eventually(60_000, "the clients have been served", () => clients.tally.whole > 200);
    return await this.#usage(await this.#target.webproxy.stats());
  }

  async #usage({ proxy, cache }: Stats): Promise<UsageOfAll> {
    return {
      supervisor: processUsage(this.#target.webproxy.pid),
      proxy: processUsage(proxy!.pid),
      cache: processUsage(cache!.pid),
    };
  }

  async #expectNothingHeld(): Promise<void> {
    const { webproxy } = this.#target;
    try {
      await webproxy.segmentsReturned();
      await eventually(
        10_000,
        "no transfer is open",
        async () => (await webproxy.stats()).cache?.counters.transfersOpen === 0,
      );
    } catch (error) {
      this.#complaints.push(`left-overs: ${error}`);
    }
    this.#expectNone(faultCounts(await webproxy.stats()));
  }

  #expectNone(counts: Record<string, number>): void {
    for (const [what, count] of Object.entries(counts))
      if (count > 0) this.#complaints.push(`${what}: ${count}; its log: ${this.#errorsLogged()}`);
  }

  /** Of what it has logged, what is no consequence of a kill. */
  #errorsLogged(): string {
    const lines = this.#target.webproxy.stderr.split("\n");
    return lines.filter((line) => line.includes('"level":"error"') && !line.includes("starting it again")).join("\n");
  }

  #compareUsage(before: UsageOfAll, after: UsageOfAll): void {
    for (const name of ["supervisor", "proxy", "cache"] as const) {
      const grown = after[name].descriptors - before[name].descriptors;
      // Connections to the origin and of clients come and go; one leaked in each fault would be more than this.
      if (grown > 40) this.#complaints.push(`${name}: ${grown} descriptors more than at the start`);
      const bytes = after[name].residentBytes - before[name].residentBytes;
      if (bytes > 160 * 1024 * 1024) this.#complaints.push(`${name}: ${bytes} bytes of memory more than at the start`);
    }
  }

  async #expectCleanEnd(): Promise<void> {
    const { webproxy, arena } = this.#target;
    const { exitCode, stderr } = await webproxy.stop();
    if (exitCode !== 0) this.#complaints.push(`it ended with ${exitCode}: ${stderr.slice(-2_000)}`);
    if (!existsSync(arena.sharedMemory)) return;
    const left = objectsIn(arena, webproxy.channel);
    if (left.length > 0) this.#complaints.push(`left-overs: ${left.join(" ")}`);
  }
}

function wordsOf({ whole, broken, refused, unreachable }: Tally): string {
  return `${whole} whole, ${broken} broken, ${refused} refused, ${unreachable} unreachable`;
}
