import { existsSync } from "node:fs";
import { join } from "node:path";
import { faultCounts, ownChannel, type StartOptions, type Stats, Webproxy } from "../support/webproxy.ts";
import { eventually, within } from "../support/within.ts";
import { Child, FIRST } from "./child.ts";
import { Clients, type Tally } from "./clients.ts";
import { FAULTS, type Fault, servesAgain, type Target } from "./faults.ts";
import { growthSince, type UsageOfAll, usageOfAll } from "./growth.ts";
import { LiveSettings } from "./live-settings.ts";
import { objectsIn, openArena } from "./namespace.ts";
import { OVERLAPS } from "./overlaps.ts";
import { PROBES, type ProbeName, type ProberReport } from "./prober-process.ts";
import { Deck, SeededRandom } from "./random.ts";

/** Both processes have to serve again within this time after any fault, on however busy a machine. */
const RECOVERY_MS = 30_000;

/** To be asked whether all is well costs the supervisor a millisecond or two, which what is starting may want. */
const BETWEEN_LOOKS_MS = 100;

/** Connections to the origin that nobody uses are kept for four seconds: while there is no cache there are many. */
const IDLE_MS = 6_000;

/** What is tried in vain (it had ended before, or was over too soon, or there was nothing to do it to) is tried again, so often at most. */
const TRIES_MAX = 20;
const BETWEEN_TRIES_MS = 500;

/** What clients have asked for has come by then, or never will. */
const ANSWERS_MS = 120_000;

/** At the end nothing is done to anybody for a while, so that processes live long enough to be seen to grow. */
const CALM_SECONDS = { low: 8, high: 60 };
const CALM_SHARE = 0.1;

export interface ChaosOptions {
  seconds: number;
  seed: number;
  clients: number;
  say: (line: string) => void;
  /** Only faults whose name this is found in. Default: all. */
  only?: RegExp;
  /** Told at the end what webproxy has written to standard error. */
  logged?: (log: string) => void;
  /** Default: the repository's sources. */
  command?: Pick<StartOptions, "program" | "env"> | undefined;
  /** Called once, when the load begins, with what tells the counts at any time. */
  began?: (counts: () => string) => void;
}

export interface ChaosReport {
  seconds: number;
  /** Those that had their effect. One that never has is complained of. */
  faults: Record<string, number>;
  /** Deaths of either process, however they came. */
  restarts: { proxy: number; cache: number };
  tally: Tally;
  /** The longest while in which the prober was not served, by what it asked for; without those in which there was no origin. */
  longestGapMs: Record<ProbeName, { ms: number; during: string }>;
  /** What must not be, in words: wrong bytes, hangs, left-overs, growth, counters that must stay 0. */
  complaints: string[];
  /** Under load at the start; and while nobody asks, before and after the load that no fault disturbs. */
  usage: { before: UsageOfAll; calm: UsageOfAll; after: UsageOfAll };
}

/**
 * Real processes under mixed load, every byte compared, while a script that the seed decides kills, stops, continues, truncates, fills /dev/shm and the
 * disk, takes memory away, cuts the origin and has the configuration read again: one thing after another, and some before the one before it is over.
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { seed, say } = options;
  await using origin = new Child<{ port?: number }>(join(import.meta.dir, "origin-process.ts"));
  const originPort = (await origin.heard()).port!;
  const channel = ownChannel();
  const disk = join("/var/tmp", `webproxy-chaos-${channel}`);
  await using arena = await openArena(disk, { sharedMemory: "96m", disk: "96m" });
  using settings = new LiveSettings(`http://127.0.0.1:${originPort}`);
  await using webproxy = await Webproxy.start({
    ...options.command,
    channel,
    wrap: arena.wrap,
    args: [
      ...settings.args,
      ...["--cache-dir", disk, "--memory", "48MiB", "--disk", "64MiB", "--hot", "2MiB"],
      ...["--segments", "32", "--segment-size", "64KiB"],
    ],
  });
  const random = new SeededRandom(seed);
  const cuts = { port: originPort, ask: (what: "cut" | "heal") => origin.ask(what) };
  const target: Target = { webproxy, arena, origin: cuts, settings, random };
  const run = new Run(target, options);
  const prober = new Child<ProberReport>(join(import.meta.dir, "prober-process.ts"), {
    args: [String(webproxy.http.port), String(webproxy.getfile.port)],
    wrap: FIRST,
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
  } finally {
    options.logged?.(webproxy.stderr);
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
    const clients = new Clients({ http: webproxy.http, getfile: webproxy.getfile }, count, seed);
    this.#options.began?.(() => this.#counts(clients));
    const before = await this.#settledUsage(clients);
    await prober.ask("report");
    const started = performance.now();
    const { only = /^/ } = this.#options;
    const possible = [...FAULTS, ...OVERLAPS].filter(
      ({ name, needsOwnArena }) => only.test(name) && (arena.isOwn || needsOwnArena !== true),
    );
    if (possible.length === 0) throw new Error(`No fault that can be made here has a name with ${only} in it`);
    const deck = new Deck(
      possible.flatMap((fault) => Array.from({ length: fault.weight }, () => fault)),
      this.#target.random,
    );
    while (performance.now() - started < seconds * 1000 && this.#complaints.length === 0) {
      await this.#suffer(deck.next(), prober, clients);
      await Bun.sleep(this.#target.random.between(0, 1_500));
      if (clients.complaints.length > 0) break;
    }
    const took = (performance.now() - started) / 1000;
    const calm = await this.#calm(clients, prober);
    await within(ANSWERS_MS, "every client has an answer", clients.stop());
    await prober.ask("rest");
    const stats = await this.#recovered("the end");
    this.#complaints.push(...clients.complaints);
    await this.#expectNothingHeld();
    await Bun.sleep(IDLE_MS);
    const after = usageOfAll(webproxy, stats);
    this.#complaints.push(...growthSince(before, after), ...growthSince(calm, after));
    await this.#expectCleanEnd();
    say(`${took.toFixed(0)} s over`);
    return {
      seconds: took,
      faults: this.#faults,
      restarts: stats.restarts,
      tally: clients.tally,
      longestGapMs: this.#gaps,
      complaints: this.#complaints,
      usage: { before, calm, after },
    };
  }

  async #suffer(fault: Fault, prober: Child<ProberReport>, clients: Clients): Promise<void> {
    const { say } = this.#options;
    const began = performance.now();
    try {
      this.#expectNone(faultCounts(await this.#target.webproxy.stats())); // of the lives that the fault may end
      const ended = await this.#make(fault);
      await this.#recovered(fault.name, ended);
    } catch (error) {
      this.#complaints.push(`${fault.name}: ${error}`);
    }
    const recoveredMs = performance.now() - began;
    // Without the origin nobody can be given something new, and while that is so is told once it has ended: it is not the next fault's. What is hot is there all the time.
    const probed = fault.cutsOrigin === true ? (["http", "getfile"] as const) : PROBES;
    const gaps = this.#takeGaps(await prober.ask("report"), probed, fault.name);
    if (fault.cutsOrigin === true) {
      await eventually(RECOVERY_MS, "something new is served", async () => {
        const report = await prober.ask("report");
        this.#takeGaps(report, probed, fault.name);
        return report.miss.served > 0;
      });
    }
    say(`${fault.name}: well after ${recoveredMs.toFixed(0)} ms, longest gaps ${gaps} ms; ${wordsOf(clients.tally)}`);
  }

  /** Makes it, until it has its effect: a fault that does nothing is none. Returns the processes that this has ended. */
  async #make(fault: Fault): Promise<number[]> {
    const { random } = this.#target;
    const ended: number[] = [];
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      if (tries > 0) await Bun.sleep(BETWEEN_TRIES_MS);
      const deed = await fault.begin(this.#target);
      if (deed === undefined) continue;
      ended.push(...deed.ended);
      try {
        const hasEffect = await deed.hasEffect();
        if (fault.lastsMs !== undefined) await Bun.sleep(random.between(fault.lastsMs.low, fault.lastsMs.high));
        if (!hasEffect) continue;
        this.#faults[fault.name] = (this.#faults[fault.name] ?? 0) + 1;
        return ended;
      } finally {
        await deed.end?.();
      }
    }
    throw new Error(`it had no effect, ${TRIES_MAX} times`);
  }

  #takeGaps(report: ProberReport, names: readonly ProbeName[], during: string): string {
    for (const name of names) {
      const { longestGapMs } = report[name];
      if (longestGapMs > this.#gaps[name].ms) this.#gaps[name] = { ms: longestGapMs, during };
    }
    return PROBES.map((name) => `${name} ${report[name].longestGapMs.toFixed(0)}`).join(", ");
  }

  /** The load goes on for a while in which nothing is done to anybody. Returns what the processes held before, while nobody asked. */
  async #calm(clients: Clients, prober: Child<ProberReport>): Promise<UsageOfAll> {
    const { seconds } = this.#options;
    await this.#recovered("the last fault");
    await prober.ask("rest");
    await clients.rest(ANSWERS_MS);
    await Bun.sleep(IDLE_MS);
    const usage = usageOfAll(this.#target.webproxy, await this.#recovered("the load"));
    clients.goOn();
    await prober.ask("report");
    await Bun.sleep(1_000 * Math.min(CALM_SECONDS.high, Math.max(CALM_SECONDS.low, seconds * CALM_SHARE)));
    this.#takeGaps(await prober.ask("report"), PROBES, "the calm at the end");
    return usage;
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
        const stats = await servesAgain(webproxy, ended);
        if (stats === undefined) await Bun.sleep(BETWEEN_LOOKS_MS);
        return stats;
      });
    } catch (error) {
      throw new Error(`${error}; webproxy said ${webproxy.stderr.slice(-4_000)}`);
    }
  }

  /** What the processes hold once they have worked for a while. */
  async #settledUsage(clients: Clients): Promise<UsageOfAll> {
    await eventually(60_000, "the clients have been served", () => clients.tally.whole > 100);
    return usageOfAll(this.#target.webproxy, await this.#target.webproxy.stats());
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
