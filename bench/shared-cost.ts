/**
 * What does a shared tier cost the hits that do not need it? Two nodes that hold the same object, one with a shared tier and one without, are asked in turns; hits in the proxy's hot tier,
 * and hits that cross to the cache (`--hot 0`); and what each takes while nobody asks. What is compared is the processor time of proxy and cache for each request, which other work on the machine changes less than it does the rate. Needs wrk.
 *
 *   bun run bench/shared-cost.ts [--rounds 8] [--seconds 2]
 */
import { someBytes } from "../tests/support/bytes.ts";
import { CountingOrigin } from "../tests/support/counting-origin.ts";
import { processUsage } from "../tests/support/process-usage.ts";
import { RedisServer } from "../tests/support/redis.ts";
import { Webproxy } from "../tests/support/webproxy.ts";
import { machine, median } from "./support/machine.ts";

const option = (name: string, fallback: number) => Number(process.argv[process.argv.indexOf(name) + 1]) || fallback;
const ROUNDS = option("--rounds", 8);
const SECONDS = option("--seconds", 2);
const IDLE_SECONDS = 15;

interface Cost {
  perSecond: number;
  microsEach: number;
}

/** Milliseconds of processor time each second. */
async function idle(nodes: readonly Webproxy[]): Promise<number[]> {
  const pids = await Promise.all(nodes.map(async (node) => (await node.stats()).cache!.pid));
  const before = pids.map((pid) => processUsage(pid).processorMs);
  await Bun.sleep(IDLE_SECONDS * 1000);
  return pids.map((pid, index) => (processUsage(pid).processorMs - before[index]!) / IDLE_SECONDS);
}

async function load(node: Webproxy): Promise<Cost> {
  const { host, port } = node.http;
  const { proxy, cache } = await node.stats();
  const usedMs = () => processUsage(proxy!.pid).processorMs + processUsage(cache!.pid).processorMs;
  const beforeMs = usedMs();
  const wrk = Bun.spawn(["wrk", "-t1", "-c32", `-d${SECONDS}s`, `http://${host}:${port}/object`], { stdout: "pipe" });
  const text = await new Response(wrk.stdout).text();
  if (/Non-2xx|Socket errors/.test(text)) throw new Error(text);
  const requests = Number(/(\d+) requests in/.exec(text)?.[1]);
  return { perSecond: requests / SECONDS, microsEach: (1000 * (usedMs() - beforeMs)) / requests };
}

if (Bun.which("wrk") === null) {
  console.error("Cannot measure: there is no wrk; Debian's package wrk has it");
  process.exit(1);
}
console.log(machine());
await using redis = await RedisServer.start();
await using origin = CountingOrigin.start();
origin.set("/object", { body: someBytes(1024, 1), headers: { "Cache-Control": "max-age=3600" } });
for (const hot of ["64MiB", "0"]) {
  const args = ["--threads", "1", "--hot", hot];
  await using plain = await Webproxy.start({ origin: origin.url, args });
  await using shared = await Webproxy.start({ origin: origin.url, args: [...args, "--shared", redis.url] });
  for (const node of [plain, shared]) await load(node);
  const [plainMs, sharedMs] = await idle([plain, shared]);
  console.log(
    `the cache, idle: ${plainMs!.toFixed(1)} ms a second without, ${sharedMs!.toFixed(1)} ms with a shared tier`,
  );
  const costs: { without: Cost; withShared: Cost }[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    if (round % 2 === 0) costs.push({ without: await load(plain), withShared: await load(shared) });
    else {
      const withShared = await load(shared);
      costs.push({ without: await load(plain), withShared });
    }
  }
  const micros = (of: "without" | "withShared") => median(costs.map((cost) => cost[of].microsEach)).toFixed(2);
  const rate = (of: "without" | "withShared") => Math.round(median(costs.map((cost) => cost[of].perSecond)));
  const ratios = costs.map(({ without, withShared }) => withShared.microsEach / without.microsEach);
  const spread = `${Math.min(...ratios).toFixed(3)} to ${Math.max(...ratios).toFixed(3)}`;
  console.log(
    `--hot ${hot}: ${micros("without")} us without (${rate("without")}/s), ${micros("withShared")} us with a shared tier (${rate("withShared")}/s)`,
  );
  console.log(`  ratio of processor time, median of ${ROUNDS} pairs: ${median(ratios).toFixed(3)} (${spread})`);
}
