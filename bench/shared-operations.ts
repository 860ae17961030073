/**
 * What does the shared tier ask of the engine? Commands and processor time of a `redis-server`, as it counts them itself, for a miss with its write, a hit, a purge, and a second in which nothing
 * happens. The numbers that bench/shared-simulation.ts reckons with.
 *
 *   bun run bench/shared-operations.ts [--objects 400]
 */
import { someBytes } from "../tests/support/bytes.ts";
import { CountingOrigin } from "../tests/support/counting-origin.ts";
import { http } from "../tests/support/http-client.ts";
import { RedisServer } from "../tests/support/redis.ts";
import { Webproxy } from "../tests/support/webproxy.ts";
import { machine } from "./support/machine.ts";

const OBJECTS = Number(process.argv[process.argv.indexOf("--objects") + 1]) || 400;
const BYTES = 30_000;
const IDLE_SECONDS = 5;
const PURGES = 40;

await using redis = await RedisServer.start();
await using origin = CountingOrigin.start();
const headers = { "Cache-Control": "max-age=3600", "Surrogate-Key": "a-tag" };
const paths = Array.from({ length: OBJECTS }, (_, index) => `/${index}`);
for (const path of paths) origin.set(path, { body: someBytes(BYTES, 1), headers });
const args = ["--threads", "1", "--shared", redis.url];
await using a = await Webproxy.start({ origin: origin.url, args });
await using b = await Webproxy.start({ origin: origin.url, args });
await Bun.sleep(2_000);

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
const idle = await measure("a second of two idle nodes", IDLE_SECONDS, () => Bun.sleep(IDLE_SECONDS * 1000));
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
