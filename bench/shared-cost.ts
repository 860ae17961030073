/**
 * What does a shared tier cost the hits that do not need it? Nodes with and without one that hold the same object are asked in short turns; what is compared is the processor time of
 * proxy and cache for each request (`schedstat` of all their threads, in nanoseconds), which other work on the machine changes less than it does the rate; nodes on one core, wrk on another. Since one
 * process may be faster than its twin for as long as it lives, all are started anew several times; and a second node without a shared tier stands beside them, which shows what the method itself makes of
 * no difference. The cache of hot hits is not asked at all: what it takes in a second is all that a tier can add to them. Needs wrk and two cores.
 *
 *   bun run bench/shared-cost.ts [--hot 64MiB|0] [--lives 4] [--rounds 10] [--ms 600]
 */
import { readdirSync, readFileSync } from "node:fs";
import { someBytes } from "../tests/support/bytes.ts";
import { CountingOrigin } from "../tests/support/counting-origin.ts";
import { RedisServer } from "../tests/support/redis.ts";
import { Webproxy } from "../tests/support/webproxy.ts";
import { machine, median } from "./support/machine.ts";

const given = (name: string) => process.argv[process.argv.indexOf(name) + 1];
const option = (name: string, fallback: number) =>
  process.argv.includes(name) ? Number(given(name)) || fallback : fallback;
const HOT = process.argv.includes("--hot") ? given("--hot")! : "64MiB";
const LIVES = option("--lives", 4);
const ROUNDS = option("--rounds", 10);
const ROUND_MS = option("--ms", 600);
const WARM_UP_MS = 4_000;
const KINDS = ["plain", "again", "shared"] as const;
const SAMPLES = 2_000;

type Kind = (typeof KINDS)[number];

interface Running {
  kind: Kind;
  node: Webproxy;
  proxy: number;
  cache: number;
}

/** Processor time: of both processes for each request, in microseconds; of the cache each second, in milliseconds. */
interface Cost {
  microsEach: number;
  cacheMs: number;
}

/** Nanoseconds that the threads of a process have run. */
function ranNs(pid: number): number {
  let sum = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const text = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "latin1");
    sum += Number(text.slice(0, text.indexOf(" ")));
  }
  return sum;
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
  const cacheNs = ranNs(cache) - cacheBefore;
  const seconds = (performance.now() - startedMs) / 1000;
  return { microsEach: (ranNs(proxy) - proxyBefore + cacheNs) / 1000 / requests, cacheMs: cacheNs / 1e6 / seconds };
}

/** The median of what the lives say, and the interval that holds 95 % of such medians, when lives and rounds are drawn again from those there are. */
function estimate(lives: readonly number[][]): string {
  const of = (some: readonly number[][]) => median(some.map(median));
  const drawn = Array.from({ length: SAMPLES }, () =>
    of(lives.map(() => draw(lives)).map((rounds) => rounds.map(() => draw(rounds)))),
  ).sort((a, b) => a - b);
  const at = (share: number) => drawn[Math.floor(share * (SAMPLES - 1))]!.toFixed(3);
  return `${of(lives).toFixed(3)} (95 %: ${at(0.025)} to ${at(0.975)})`;
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
const costs: Record<Kind, Cost[]> = { plain: [], again: [], shared: [] };
const ratios = { again: [] as number[][], shared: [] as number[][] };
for (let life = 0; life < LIVES; life++) {
  await using stack = new AsyncDisposableStack();
  const nodes: Running[] = [];
  // What is started first is not always the same.
  for (let index = 0; index < KINDS.length; index++) {
    const running = await start(KINDS[(index + life) % KINDS.length]!, origin.url, redis.url);
    stack.defer(() => running.node[Symbol.asyncDispose]());
    nodes.push(running);
  }
  for (const running of nodes) await load(running, WARM_UP_MS);
  const rounds: Record<"again" | "shared", number[]> = { again: [], shared: [] };
  for (let round = 0; round < ROUNDS; round++) {
    const took = new Map<Kind, Cost>();
    for (let index = 0; index < nodes.length; index++) {
      const running = nodes[(index + round) % nodes.length]!;
      took.set(running.kind, await load(running, ROUND_MS));
    }
    for (const kind of KINDS) costs[kind].push(took.get(kind)!);
    for (const kind of ["again", "shared"] as const)
      rounds[kind].push(took.get(kind)!.microsEach / took.get("plain")!.microsEach);
  }
  for (const kind of ["again", "shared"] as const) ratios[kind].push(rounds[kind]);
}
console.log(`--hot ${HOT}: ${LIVES} lives of three nodes, ${ROUNDS} rounds of ${ROUND_MS} ms each, hits of 1 KiB`);
const middle = (kind: Kind, name: keyof Cost) => median(costs[kind].map((cost) => cost[name]));
for (const kind of KINDS) {
  const [each, cache] = [middle(kind, "microsEach").toFixed(2), middle(kind, "cacheMs").toFixed(1)];
  console.log(`  ${kind}: ${each} us a request; the cache takes ${cache} ms a second`);
}
console.log(`  another node without, beside one without: ${estimate(ratios.again)}`);
console.log(`  with a shared tier, beside one without:   ${estimate(ratios.shared)}`);
if (HOT !== "0") {
  const more = middle("shared", "cacheMs") - Math.min(middle("plain", "cacheMs"), middle("again", "cacheMs"));
  console.log(
    `  hot hits do not come to the cache, which takes ${more.toFixed(1)} ms a second more: ${(more / 10).toFixed(2)} % of a core`,
  );
}
