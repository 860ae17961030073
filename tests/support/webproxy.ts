import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { CacheCounter, ProxyCounter } from "@proj/protocol";
import { type Address, parseAddress } from "./address.ts";
import { ipcObjectsOf } from "./left-overs.ts";
import { TempDirectory } from "./temp-directory.ts";
import { eventually, within } from "./within.ts";

export const MAIN = join(import.meta.dir, "../../apps/cli/src/main.ts");

const READY_MS = 45_000;
/** Open requests get ten seconds; the rest is the machine's. */
const STOP_MS = 30_000;

export interface StartOptions {
  /** URL, directory or "demo"; undefined: what `args` say. */
  origin?: string;
  command?: "start" | "proxy" | "cache";
  /** More options of `webproxy`; they win over the harness's own. */
  args?: readonly string[];
  channel?: string;
  /** What stands before the program: `["prlimit", "--msgqueue=4096"]`. */
  wrap?: readonly string[];
  /** Instead of the repository's own sources. */
  program?: readonly string[];
  env?: Record<string, string>;
  /** What the test itself brings about, and so may be counted when it ends. */
  mayCount?: readonly FaultName[];
}

/** For what is logged to come through. */
const SAYS_MS = 20_000;
/** Less than any time-out of the product, so that none of those can be what returned them. */
const SEGMENTS_MS = 4_500;

/** What `/api/stats` says, as far as the tests look. */
export interface Stats {
  hits: number;
  misses: number;
  portions: number;
  segmentsInUse: number;
  lostWakeups: number;
  doubleGiveBacks: number;
  checksumFailures: number;
  refusedMessages: number;
  restarts: { proxy: number; cache: number };
  stalls: { proxy: number; cache: number };
  origins: { origin: string; asked: number; failures: number; restingThreads: number }[];
  proxy: { pid: number; state: string; segments: number; counters: Record<ProxyCounter, number> } | null;
  cache: { pid: number; state: string; counters: Record<CacheCounter, number> } | null;
}

/** What must not have happened, whatever else has: wake-ups that were lost, segments that were given back twice, bodies that were not as they had been written. */
export function faultCounts({ lostWakeups, doubleGiveBacks, checksumFailures }: Stats) {
  return { lostWakeups, doubleGiveBacks, checksumFailures };
}

export type FaultName = keyof ReturnType<typeof faultCounts>;

export const NO_FAULTS = { lostWakeups: 0, doubleGiveBacks: 0, checksumFailures: 0 };

/** What is counted is asked for once at the end; who does not answer by then can not be asked: it is stopped, or the machine is. */
const LAST_STATS_MS = 3_000;

/** How a process that ran to its end did. */
export interface Ended {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/** A name that no other test has, nor another copy of this one. */
export function ownChannel(): string {
  return `test-${process.pid}-${randomBytes(4).toString("hex")}`;
}

/**
 * A `webproxy` of the test's own: real processes on free ports, own channel, own directories. Ends with the scope, and then nothing of it may be left, and nothing may have been counted that
 * must not happen ({@link faultCounts}), but for what {@link StartOptions.mayCount} names. Whoever has been killed or stopped before is not asked.
 */
export class Webproxy implements AsyncDisposable {
  readonly channel: string;
  readonly directory = new TempDirectory({ mode: 0o777 });
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #output: Promise<unknown>;
  readonly #mayCount: readonly FaultName[];
  #pid: number | undefined;
  #addresses: Record<string, Address> = {};
  #stopped: Promise<Ended> | undefined;
  stdout = "";
  stderr = "";

  private constructor(options: StartOptions) {
    this.channel = options.channel ?? ownChannel();
    this.#mayCount = options.mayCount ?? [];
    this.#child = Bun.spawn(this.#command(options), {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...options.env },
    });
    const read = async (from: ReadableStream<Uint8Array>, take: (text: string) => void) => {
      const decoder = new TextDecoder();
      for await (const chunk of from) take(decoder.decode(chunk, { stream: true }));
    };
    this.#output = Promise.all([
      read(this.#child.stdout, (text) => {
        this.stdout += text;
      }),
      read(this.#child.stderr, (text) => {
        this.stderr += text;
      }),
    ]);
  }

  /** Starts it and waits until it serves. */
  static async start(options: StartOptions): Promise<Webproxy> {
    const webproxy = new Webproxy(options);
    try {
      await webproxy.ready();
      return webproxy;
    } catch (error) {
      await webproxy[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Starts it and waits for nothing. */
  static spawn(options: StartOptions): Webproxy {
    return new Webproxy(options);
  }

  /** Starts it, which has to fail, and waits for that. Nothing may be left of it. */
  static async refusal(options: StartOptions): Promise<Ended> {
    await using webproxy = new Webproxy(options);
    return await webproxy.ended();
  }

  /** Resolves when the ready line is there; rejects when the process ends without it. */
  async ready(): Promise<void> {
    const what = () => `webproxy's ready line; its stderr: ${this.stderr}`;
    const line = await eventually(READY_MS, what, () => {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null)
        throw new Error(`webproxy ${this.#state()} before it was ready: ${this.stderr}`);
      return /^webproxy (?:proxy |cache )?ready .*\n/m.exec(this.stdout)?.[0];
    });
    for (const [, name, value] of line.matchAll(/(https?|getfile|admin)=(\S+)/g))
      this.#addresses[name!] = parseAddress(value!);
    this.#pid = Number(/pid=(\d+)/.exec(line)?.[1]);
  }

  get http(): Address {
    return this.#address("http");
  }

  /** Where it has a certificate. */
  get https(): Address {
    return this.#address("https");
  }

  get getfile(): Address {
    return this.#address("getfile");
  }

  get admin(): Address {
    return this.#address("admin");
  }

  /** Of the supervisor, or of the process when it was started alone. */
  get pid(): number {
    return this.#pid ?? this.#child.pid;
  }

  /** What the processes have counted, from the admin API, or where nobody supervises from the command that reads shared memory. */
  async stats(): Promise<Stats> {
    if (this.#addresses["admin"] === undefined) return await this.#statsOfChannel();
    const url = `http://${this.admin.host}:${this.admin.port}/api/stats`;
    try {
      // A connection of its own: a kept one may be closed by the server at the moment that it is used again.
      const response = await fetch(url, { headers: { connection: "close" }, signal: AbortSignal.timeout(15_000) });
      if (response.status === 200) return (await response.json()) as Stats;
      throw new Error(`status ${response.status}`);
    } catch (cause) {
      throw new Error(`Cannot read ${url}; webproxy ${this.#state()}; its stderr: ${this.stderr}`, { cause });
    }
  }

  async #statsOfChannel(): Promise<Stats> {
    const child = Bun.spawn([process.execPath, MAIN, "stats", "--json", "--channel", this.channel], {
      stderr: "inherit",
    });
    const stats = (await new Response(child.stdout).json()) as Omit<Stats, "restarts" | "stalls">;
    return { ...stats, restarts: { proxy: 0, cache: 0 }, stalls: { proxy: 0, cache: 0 } };
  }

  /** Waits until its log holds the text: what it says comes through a pipe, and later than what can be seen in its counters. */
  async says(text: string): Promise<void> {
    const what = () => `"${text}" in webproxy's log: ${this.stderr}`;
    await eventually(SAYS_MS, what, () => this.stderr.includes(text));
  }

  /** Waits until no segment is in use any more, and returns how many milliseconds that took. */
  async segmentsReturned(): Promise<number> {
    const started = performance.now();
    const isReturned = async () => (await this.stats()).segmentsInUse === 0;
    await eventually(SEGMENTS_MS, "all segments are back in the pool", isReturned);
    return performance.now() - started;
  }

  /** Waits until another process serves in the place of the one that had this pid. */
  async recovered(former: number): Promise<void> {
    await eventually(30_000, `another process in the place of ${former}`, async () => {
      const { proxy, cache } = await this.stats();
      return [proxy, cache].every((side) => side?.state === "serving" && side.pid !== former);
    });
  }

  /** Asks it to end, and waits for that. */
  stop(signal: NodeJS.Signals = "SIGTERM"): Promise<Ended> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) signalIfThere(this.pid, signal);
    return this.ended();
  }

  kill(signal: NodeJS.Signals): void {
    signalIfThere(this.pid, signal);
  }

  ended(): Promise<Ended> {
    this.#stopped ??= within(STOP_MS, "the end of webproxy", this.#end());
    return this.#stopped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      const counted = await this.#counted();
      await this.stop();
      await this.expectNothingLeft().catch(fails);
      if (counted !== undefined) await fails(counted);
    } finally {
      if (this.#child.exitCode === null) this.#child.kill("SIGKILL");
      this.directory[Symbol.dispose]();
    }
  }

  /** What has been counted that must not happen; undefined also where nobody can be asked. */
  async #counted(): Promise<Error | undefined> {
    if (this.#addresses["admin"] === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null)
      return undefined;
    let stats: Stats;
    try {
      const { host, port } = this.admin;
      const signal = AbortSignal.timeout(LAST_STATS_MS);
      const response = await fetch(`http://${host}:${port}/api/stats`, { headers: { connection: "close" }, signal });
      if (response.status !== 200) return undefined;
      stats = (await response.json()) as Stats;
    } catch {
      return undefined;
    }
    const counts = Object.entries(faultCounts(stats)).filter(([name]) => !this.#mayCount.includes(name as FaultName));
    if (counts.every(([, count]) => count === 0)) return undefined;
    const words = counts.map(([name, count]) => `${name} ${count}`).join(", ");
    const errors = this.stderr.split("\n").filter((line) => line.includes('"level":"error"'));
    return new Error(`webproxy has counted what must not happen: ${words}; its log: ${errors.join("\n")}`);
  }

  /** Nothing of the channel in /dev/shm, and no queue. (Orphans of a killed supervisor get the time to see that it is gone.) */
  async expectNothingLeft(graceMs = 10_000): Promise<void> {
    const deadline = performance.now() + graceMs;
    while (ipcObjectsOf(this.channel).length > 0 && performance.now() < deadline) await Bun.sleep(20);
    const left = ipcObjectsOf(this.channel);
    if (left.length > 0) throw new Error(`webproxy has ended and left ${left.length} IPC objects: ${left.join(" ")}`);
  }

  async #end(): Promise<Ended> {
    const exitCode = await this.#child.exited;
    await this.#output;
    return { exitCode, stdout: this.stdout, stderr: this.stderr };
  }

  #state(): string {
    const { exitCode, signalCode } = this.#child;
    return exitCode === null && signalCode === null ? "is running" : `has ended (${exitCode}, ${signalCode})`;
  }

  #address(name: string): Address {
    const address = this.#addresses[name];
    if (address === undefined) throw new Error(`webproxy has not said where its ${name} listener is: ${this.stdout}`);
    return address;
  }

  #command({ origin, command = "start", args = [], wrap = [], program }: StartOptions): string[] {
    const own = program ?? [process.execPath, MAIN];
    const options: Record<string, string> = {
      ...(origin !== undefined && { "--origin": origin }),
      "--threads": "2",
      "--http-port": "0",
      "--getfile-port": "0",
      "--admin-port": "0",
      "--cache-dir": this.directory.file("cache"),
      "--channel": this.channel,
      "--log-format": "json",
    };
    for (const given of args) delete options[given];
    return [...wrap, ...own, command, ...Object.entries(options).flat(), ...args];
  }
}

function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

/**
 * Fails the test that runs, once it is over: what is thrown as a scope ends would take the place of the error that has ended it, and neither would be shown. Outside of a test it is thrown.
 */
async function fails(error: unknown): Promise<void> {
  const rethrow = () => {
    throw error;
  };
  try {
    const { onTestFinished } = await import("bun:test");
    onTestFinished(rethrow);
  } catch {
    rethrow(); // in a hook, or in a program that is no test
  }
}
