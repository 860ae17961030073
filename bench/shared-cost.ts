/**
 * What does a shared tier cost the hits that do not need it? Nodes with and without one that hold the same object are asked in short turns; what is compared is the processor time of
 * proxy and cache for each request (`schedstat` of their threads, in nanoseconds), which other work on the machine changes less than it does the rate; nodes on one core, wrk on another. Since one
 * process may be faster than its twin for as long as it lives, there are several of both kinds, and the interval says what others would have made of it. What the engine's compiling threads do is not
 * in it: they work off what became hot when, which is chance and ends. The proxy has no part of a shared tier, so that the cache's part says more exactly what one adds. `--add FILE` keeps what was
 * found there, and reckons with what is there from runs before. Needs wrk and two cores.
 *
 *   bun run bench/shared-cost.ts [--hot 64MiB|0] [--nodes 3] [--rounds 8] [--ms 1500] [--warm-up 4000] [--add FILE]
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { someBytes } from "../tests/support/bytes.ts";
import { CountingOrigin } from "../tests/support/counting-origin.ts";
import { RedisServer } from "../tests/support/redis.ts";
import { Webproxy } from "../tests/support/webproxy.ts";
import { machine, median } from "./support/machine.ts";

const given = (name: string) => process.argv[process.argv.indexOf(name) + 1];
const option = (name: string, fallback: number) =>
  process.argv.includes(name) ? Number(given(name)) || fallback : fallback;
const HOT = process.argv.includes("--hot") ? given("--hot")! : "64MiB";
const NODES = option("--nodes", 3);
const ROUNDS = option("--rounds", 8);
const ROUND_MS = option("--ms", 1_500);
const WARM_UP_MS = option("--warm-up", 4_000);
const ADD = process.argv.includes("--add") ? given("--add") : undefined;
const KINDS = ["plain", "shared"] as const;
const SAMPLES = 2_000;
/** Threads of JavaScriptCore that compile what is hot. */
const COMPILERS = /^(JITWorker|JSCWarmUp)/;

type Kind = (typeof KINDS)[number];

interface Running {
  kind: Kind;
  node: Webproxy;
  proxy: number;
  cache: number;
}

/** Processor time: of both processes for each request, and of the cache, in microseconds; of the cache each second, in milliseconds. */
interface Cost {
  microsEach: number;
  cacheMicrosEach: number;
  /** Besides. */
  compilingMicrosEach: number;
  cacheMs: number;
}

/** What the nodes of one run took, each the median of its rounds. */
type Run = Record<Kind, Cost[]>;

/** Nanoseconds that the threads of a process have run, without those that compile. */
function ranNs(pid: number): { ns: number; compilingNs: number } {
  let ns = 0;
  let compilingNs = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const text = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "latin1");
    const ran = Number(text.slice(0, text.indexOf(" ")));
    if (COMPILERS.test(readFileSync(`/proc/${pid}/task/${thread}/comm`, "latin1"))) compilingNs += ran;
    else ns += ran;
  }
  return { ns, compilingNs };
}

async function start(kind: Kind, origin: string, shared: string): Promise<Running> {
  const args = ["--threads", "1", "--hot", HOT, ...(kind === "shared" ? ["--shared", shared] : [])];
  const node = await Webproxy.start({ origin, args, wrap: ["taskset", "-c", "1"] });
  const { proxy, cache } = await node.stats();
  return { kind, node, proxy: proxy!.pid, cache: cache!.pid };
}

async function load({ node, proxy, cache }: Running, ms: number): Promise<Cost> {
  const { host, port } = node.http;
  const [proxyBefore, cacheBefore] = [ranNs(proxy), ranNs(cache)];
  const startedMs = performance.now();
  // wrk takes whole seconds: it is interrupted, and says what it has done.
  const wrk = Bun.spawn(["taskset", "-c", "0", "wrk", "-t1", "-c32", "-d60s", `http://${host}:${port}/object`], {
    stdout: "pipe",
  });
  await Bun.sleep(ms);
  wrk.kill("SIGINT");
  const text = await new Response(wrk.stdout).text();
  if (/Non-2xx|Socket errors/.test(text)) throw new Error(text);
  const requests = Number(/(\d+) requests in/.exec(text)?.[1]);
  const [proxyAfter, cacheAfter] = [ranNs(proxy), ranNs(cache)];
  const seconds = (performance.now() - startedMs) / 1000;
  const cacheNs = cacheAfter.ns - cacheBefore.ns;
  const compilingNs =
    proxyAfter.compilingNs - proxyBefore.compilingNs + cacheAfter.compilingNs - cacheBefore.compilingNs;
  return {
    microsEach: (proxyAfter.ns - proxyBefore.ns + cacheNs) / 1000 / requests,
    cacheMicrosEach: cacheNs / 1000 / requests,
    compilingMicrosEach: compilingNs / 1000 / requests,
    cacheMs: cacheNs / 1e6 / seconds,
  };
}

/** How much more the nodes with a shared tier take, in percent of what the others do; and the interval that holds 95 % of what is found when the nodes of each run are drawn again. */
function estimate(runs: readonly Run[], name: "microsEach" | "cacheMicrosEach"): string {
  const mean = (costs: readonly Cost[], of: keyof Cost) =>
    costs.reduce((sum, cost) => sum + cost[of], 0) / costs.length;
  const more = ({ plain, shared }: Run) => (100 * (mean(shared, name) - mean(plain, name))) / mean(plain, "microsEach");
  const of = (some: readonly Run[]) => some.reduce((sum, run) => sum + more(run), 0) / some.length;
  const again = (costs: readonly Cost[]) => costs.map(() => draw(costs));
  const drawn = Array.from({ length: SAMPLES }, () =>
    of(runs.map(({ plain, shared }) => ({ plain: again(plain), shared: again(shared) }))),
  ).sort((a, b) => a - b);
  const at = (share: number) => drawn[Math.floor(share * (SAMPLES - 1))]!.toFixed(2);
  return `${of(runs).toFixed(2)} % (95 %: ${at(0.025)} to ${at(0.975)})`;
}

function draw<Value>(values: readonly Value[]): Value {
  return values[Math.floor(Math.random() * values.length)]!;
}

if (Bun.which("wrk") === null) {
  console.error("Cannot measure: there is no wrk; Debian's package wrk has it");
  process.exit(1);
}
console.log(machine());
await using redis = await RedisServer.start();
await using origin = CountingOrigin.start();
origin.set("/object", { body: someBytes(1024, 1), headers: { "Cache-Control": "max-age=3600" } });
const runs: Run[] = ADD !== undefined && existsSync(ADD) ? JSON.parse(readFileSync(ADD, "utf8")) : [];
await using stack = new AsyncDisposableStack();
const nodes: { running: Running; rounds: Cost[] }[] = [];
for (let index = 0; index < KINDS.length * NODES; index++) {
  const running = await start(KINDS[index % KINDS.length]!, origin.url, redis.url);
  stack.defer(() => running.node[Symbol.asyncDispose]());
  nodes.push({ running, rounds: [] });
}
for (const { running } of nodes) await load(running, WARM_UP_MS);
for (let round = 0; round < ROUNDS; round++)
  for (let index = 0; index < nodes.length; index++) {
    const { running, rounds } = nodes[(index + round) % nodes.length]!;
    rounds.push(await load(running, ROUND_MS));
  }
const middleOf = (rounds: readonly Cost[]): Cost => {
  const of = (name: keyof Cost) => median(rounds.map((cost) => cost[name]));
  return {
    microsEach: of("microsEach"),
    cacheMicrosEach: of("cacheMicrosEach"),
    compilingMicrosEach: of("compilingMicrosEach"),
    cacheMs: of("cacheMs"),
  };
};
const costsOf = (kind: Kind) =>
  nodes.filter(({ running }) => running.kind === kind).map(({ rounds }) => middleOf(rounds));
runs.push({ plain: costsOf("plain"), shared: costsOf("shared") });
if (ADD !== undefined) writeFileSync(ADD, `${JSON.stringify(runs)}\n`);
console.log(`--hot ${HOT}, hits of 1 KiB: ${runs.length} runs of ${NODES} nodes of each kind`);
for (const kind of KINDS)
  for (const { microsEach, cacheMicrosEach, compilingMicrosEach } of runs.at(-1)![kind])
    console.log(
      `  ${kind}: ${microsEach.toFixed(2)} us a request, ${cacheMicrosEach.toFixed(2)} of them the cache's; ${compilingMicrosEach.toFixed(2)} more for compiling`,
    );
console.log(`  a shared tier adds ${estimate(runs, "microsEach")}`);
console.log(`  in the cache alone, of the whole: ${estimate(runs, "cacheMicrosEach")}`);
const cacheMs = (kind: Kind) => median(runs.flatMap((run) => run[kind].map((cost) => cost.cacheMs)));
console.log(`  the cache takes ${(cacheMs("shared") - cacheMs("plain")).toFixed(1)} ms a second more`);
