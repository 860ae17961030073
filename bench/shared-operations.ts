/**
 * What does the shared tier ask of the engine? Commands and processor time of a `redis-server`, as it counts them itself, for a miss with its write, a hit, a look at what another node fetches, a
 * purge, the positions of many nodes, and a second in which nothing happens. The numbers that bench/shared-simulation.ts reckons with.
 *
 *   bun run bench/shared-operations.ts [--objects 400]
 */
import { LogPositionFile, PurgeLog, parseSharedAddress, SharedKeys, SharedTier } from "@proj/shared-tier";
import { DecidingOrigin } from "../tests/caching/origin.ts";
import { someBytes } from "../tests/support/bytes.ts";
import { CountingOrigin } from "../tests/support/counting-origin.ts";
import { http } from "../tests/support/http-client.ts";
import { RedisServer } from "../tests/support/redis.ts";
import { Webproxy } from "../tests/support/webproxy.ts";
import { machine } from "./support/machine.ts";

const OBJECTS = Number(process.argv[process.argv.indexOf("--objects") + 1]) || 400;
const BYTES = 30_000;
const IDLE_SECONDS = 8;
const IDLE_NODES = 50;
const PURGES = 40;
const LOOKS = 2_000;
/** Objects that two nodes are asked for at once, and how long the origin takes. */
const TOGETHER = 60;
const ORIGIN_MS = 50;
const POSITIONS = [100, 1_000];
const READINGS = 300;

await using redis = await RedisServer.start();
await using origin = CountingOrigin.start();
const headers = { "Cache-Control": "max-age=3600", "Surrogate-Key": "a-tag" };
const paths = Array.from({ length: OBJECTS }, (_, index) => `/${index}`);
for (const path of paths) origin.set(path, { body: someBytes(BYTES, 1), headers });
const args = ["--threads", "1", "--shared", redis.url];

async function reading(): Promise<{ commands: number; micros: number }> {
  const text = await redis.cli("info", "all");
  const value = (name: string) => Number(new RegExp(`^${name}:([\\d.]+)`, "m").exec(text)?.[1]);
  const micros = 1e6 * (value("used_cpu_user") + value("used_cpu_sys"));
  return { commands: value("total_commands_processed"), micros };
}

/** What `work` made the engine do, less what it does in that time anyway. */
async function measure(what: string, count: number, work: () => Promise<void>, idle = { commands: 0, micros: 0 }) {
  const before = await reading();
  const startedMs = performance.now();
  await work();
  const seconds = (performance.now() - startedMs) / 1000;
  const after = await reading();
  const each = (name: "commands" | "micros") => (after[name] - before[name] - idle[name] * seconds) / count;
  const found = { commands: each("commands"), micros: each("micros") };
  console.log(
    `${what}: ${found.commands.toFixed(2)} commands, ${found.micros.toFixed(0)} us of the engine's processor`,
  );
  return found;
}

console.log(machine());
const rest = () => Bun.sleep(IDLE_SECONDS * 1000);
const nobody = await measure("a second of an engine that nobody asks", IDLE_SECONDS, rest);
await using a = await Webproxy.start({ origin: origin.url, args });
await using b = await Webproxy.start({ origin: origin.url, args });
await Bun.sleep(2_000);
const idle = await measure("a second of two idle nodes", IDLE_SECONDS, rest);
console.log(`  that is ${((idle.commands - nobody.commands) / 2).toFixed(1)} commands for each node`);
const ask = async (node: Webproxy) => {
  for (const path of paths) await http(node.http, path);
  await Bun.sleep(1_500);
};
await measure(`a miss and its write (${BYTES} B, one tag)`, OBJECTS, () => ask(a), idle);
await measure(`a hit (${BYTES} B)`, OBJECTS, () => ask(b), idle);
const { host, port } = a.admin;
const purge = async () => {
  for (let index = 0; index < PURGES; index++) {
    const body = JSON.stringify({ url: `/${index}` });
    await fetch(`http://${host}:${port}/api/purge`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
  }
};
const startedMs = performance.now();
await measure("a purge of two nodes", PURGES, purge, idle);
console.log(`a purge is acknowledged by both after ${((performance.now() - startedMs) / PURGES).toFixed(1)} ms`);

/** A node's look at a key that another one has the lease of: what waiting is made of. */
{
  const options = {
    ...{
      address: parseSharedAddress(redis.url)!,
      deployment: "looks",
      budgetMs: 8_000,
      count: () => {},
      log: () => {},
    },
    ...{ nowMs: () => Date.now(), monotonicMs: () => performance.now() },
  };
  const joined = {
    isJoined: true,
    sequence: 1,
    validFrom: 0,
    newest: 1,
    behind: 0,
    nodes: 2,
    clockOffsetMs: 0,
    unsent: 0,
  };
  const [holder, other] = [new SharedTier(options), new SharedTier(options)];
  for (const tier of [holder, other]) tier.hear(joined);
  while ((await holder.lookUp("/held"))?.lease.kind !== "us") await Bun.sleep(50);
  while ((await other.lookUp("/held"))?.lease.kind !== "other") await Bun.sleep(50);
  const looks = async () => {
    for (let look = 0; look < LOOKS; look++) await other.lookUp("/held");
  };
  await measure("a look at a key that another node has the lease of", LOOKS, looks, idle);
  for (const tier of [holder, other]) tier.close();
}

/** What answers a purge, and each node's view of the others, reads the positions of all of them. */
{
  const found: number[] = [];
  for (const nodes of POSITIONS) {
    const fields = Array.from({ length: nodes }, (_, index) => [
      `node-${index}.example.com/default`,
      `${1.79e15 + index} 1764000000000 0123456789abcdef`,
    ]);
    await redis.cli("hset", "positions", ...fields.flat());
    const read = async () => {
      // One client for all of them: starting it would be most of what is measured.
      await redis.cli("-r", String(READINGS), "hgetall", "positions");
    };
    found.push((await measure(`the positions of ${nodes} nodes`, READINGS, read, idle)).micros);
    await redis.cli("del", "positions");
  }
  const each = (found.at(-1)! - found[0]!) / (POSITIONS.at(-1)! - POSITIONS[0]!);
  console.log(`  that is ${each.toFixed(2)} us for each node`);
}

/** Two nodes are hardly seen among what an engine does anyway: signs of life of many. */
{
  const host = {
    recall: async () => {},
    forgetBefore: async () => {},
    apply: async () => ({ count: Promise.resolve({ responses: 0, bodyBytes: 0 }) }),
    tell: () => {},
    meet: () => {},
  };
  const logs = Array.from({ length: IDLE_NODES }, (_, index) => {
    const file = new LogPositionFile(undefined);
    const address = parseSharedAddress(redis.url)!;
    return new PurgeLog({ address, keys: new SharedKeys("idle"), node: `node-${index}`, host, file, log: () => {} });
  });
  await Promise.all(logs.map((log) => log.started()));
  await Bun.sleep(2_000);
  const what = `a second of an idle node, with ${IDLE_NODES} of them`;
  await measure(what, IDLE_SECONDS * IDLE_NODES, rest, idle);
  await Promise.all(logs.map((log) => log.close()));
}

/** How often a node looks while another one waits for an origin that takes a while. */
{
  await using slow = await DecidingOrigin.start(() => ({ headers, body: "x", until: Bun.sleep(ORIGIN_MS) }));
  const own = [...args, "--deployment", "together"];
  await using one = await Webproxy.start({ origin: slow.url, args: own });
  await using two = await Webproxy.start({ origin: slow.url, args: own });
  await Bun.sleep(2_000);
  const counts = async (node: Webproxy) => (await node.stats()).cache!.counters;
  for (let index = 0; index < TOGETHER; index++)
    await Promise.all([one, two].map((node) => http(node.http, `/${index}`)));
  const [first, second] = [await counts(one), await counts(two)];
  const sum = (name: "sharedLookups" | "sharedWaits") => (first[name] ?? 0) + (second[name] ?? 0);
  const looks = (sum("sharedLookups") - 2 * TOGETHER) / sum("sharedWaits");
  console.log(
    `${TOGETHER} objects asked of two nodes at once, origin ${ORIGIN_MS} ms: ${slow.requests.length} origin requests, ${sum("sharedWaits")} waits of ${looks.toFixed(1)} more looks each`,
  );
}
