/**
 * A million responses on disk: how soon does a cache serve that finds them there, how long does a purge take that has to look at all of them, and what do requests notice of
 * it? Times are by the clock: the machine has to be quiet.
 *
 *   bun run bench/large-store.ts --store DIR [--responses 1000000] [--port 19300] [--tag 1]
 *
 * The store is made in DIR where there is none yet, and stays there. The port is the origin's, which is in the keys. The
 * purge is of one tag in a hundred, 1 to 99: of another one each time.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Webproxy } from "../tests/support/webproxy.ts";
import { machine } from "./support/machine.ts";

const { values: given } = parseArgs({
  options: {
    store: { type: "string" },
    responses: { type: "string", default: "1000000" },
    port: { type: "string", default: "19300" },
    tag: { type: "string", default: "1" },
  },
});
if (given.store === undefined) throw new Error("Name a directory for the store with --store");
const STORE = given.store;
const RESPONSES = Number(given.responses);
const ORIGIN = `http://127.0.0.1:${given.port}`;
const TAGS = 100;
/** Asked for while the purge goes on. */
const ASKED = 1000;
const LOAD_MS = 3000;
/** No more come to be known when none has for so long. */
const SETTLED_MS = 1500;

console.log(machine());
let asked = 0;
using _ = Bun.serve({
  port: Number(given.port),
  hostname: "127.0.0.1",
  fetch: () => {
    asked++;
    return new Response("from the origin", { headers: { "Cache-Control": "max-age=360000" } });
  },
});
if (!existsSync(`${STORE}/webproxy-store.json`)) fill();

const spawnedMs = performance.now();
await using webproxy = await Webproxy.start({
  origin: ORIGIN,
  args: ["--cache-dir", STORE, "--disk", "40GiB", "--hot", "0", "--threads", "2", "--quiet"],
});
const readyMs = performance.now() - spawnedMs;
await get(RESPONSES - 1);
const firstMs = performance.now() - spawnedMs;
const isServedFromStore = asked === 0;
let known = { count: 0, ms: 0 };
while (known.count === 0 || performance.now() - spawnedMs - known.ms < SETTLED_MS) {
  const count = (await webproxy.stats()).cache?.counters.responsesStored ?? 0;
  if (count !== known.count) known = { count, ms: performance.now() - spawnedMs };
  await Bun.sleep(10);
}
console.log(
  `${known.count} responses: ready after ${readyMs.toFixed(0)} ms, the first request answered after ${firstMs.toFixed(0)} ms (${isServedFromStore ? "from the store" : "by the origin"}), all of them known after ${known.ms.toFixed(0)} ms`,
);
console.log(`requests before the purge: ${await load(Bun.sleep(LOAD_MS))}`);
const purgedAtMs = performance.now();
let purgeMs = 0;
const purge = fetch(`http://${webproxy.admin.host}:${webproxy.admin.port}/api/purge`, {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ tag: `tag-${given.tag}` }),
}).then(async (response) => {
  purgeMs = performance.now() - purgedAtMs;
  return response.text();
});
console.log(`requests during the purge: ${await load(purge)}`);
console.log(`the purge of one in ${TAGS}: ${(purgeMs / 1000).toFixed(1)} s, ${await purge}`);
const before = asked;
for (let item = Number(given.tag); item < 100 * TAGS; item += TAGS) await get(item);
console.log(`of 100 purged ones asked for then, ${asked - before} were fetched from the origin`);

async function get(item: number): Promise<void> {
  const response = await fetch(`http://${webproxy.http.host}:${webproxy.http.port}/item/${item}`);
  await response.bytes();
}

/** Asks for one after the other until `end` has come, and says how long that took. */
async function load(end: Promise<unknown>): Promise<string> {
  let isOver = false;
  end.then(() => {
    isOver = true;
  });
  const times: number[] = [];
  for (let request = 0; !isOver; request++) {
    const item = (Bun.hash.xxHash32(String(request)) % ASKED) * TAGS;
    const startedMs = performance.now();
    await get(item);
    times.push(performance.now() - startedMs);
  }
  times.sort((one, other) => one - other);
  const at = (share: number) => `${times[Math.min(times.length - 1, Math.floor(times.length * share))]?.toFixed(2)} ms`;
  return `${times.length}, p50 ${at(0.5)}, p99 ${at(0.99)}, longest ${at(1)}`;
}

/** By a program of the package whose store it is. */
function fill(): void {
  const script = join(import.meta.dir, "../packages/cache/bench/fill-store.ts");
  const { exitCode } = Bun.spawnSync([process.execPath, script, STORE, ORIGIN, String(RESPONSES)], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (exitCode !== 0) process.exit(1);
}
