/**
 * For how long is each thread silent while it has much to do that is no fault: a store of a million responses that is found at the start, a purge of one in a hundred of them, and of all,
 * many hits meanwhile, the collection of what they were? What the watchers go by is measured as they do it: beats in the control blocks, looked at every 50 ms by a process of its own, less
 * what a thread waited for a processor. And how often did they act on it?
 *
 *   bun run bench/silences.ts --store DIR [--responses 1000000] [--threads 2] [--port 19300] [-- WEBPROXY OPTIONS]
 *
 * The store is made in DIR where there is none yet, and is empty afterwards. The port is the origin's, which is in the keys.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Child } from "../tests/chaos/child.ts";
import type { Address } from "../tests/support/address.ts";
import { Webproxy } from "../tests/support/webproxy.ts";
import { machine } from "./support/machine.ts";
import type { SilenceReport } from "./support/silence-watcher.ts";

const { values: given, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    store: { type: "string" },
    responses: { type: "string", default: "1000000" },
    threads: { type: "string", default: "2" },
    port: { type: "string", default: "19300" },
  },
});
if (given.store === undefined) throw new Error("Name a directory for the store with --store");
const STORE = given.store;
const RESPONSES = Number(given.responses);
const REQUESTS = Math.min(RESPONSES, 20_000);
const CONNECTIONS = 8;
const PIPELINED = 8;
/** What was let go of is collected by and by. */
const COLLECTED_MS = 10_000;

console.log(machine());
const body = Buffer.alloc(1024, "x");
using origin = Bun.serve({
  port: Number(given.port),
  hostname: "127.0.0.1",
  fetch: () => new Response(body, { headers: { "Cache-Control": "max-age=360000", ETag: '"same"' } }),
});
const ORIGIN = `http://127.0.0.1:${origin.port}`;
if (!existsSync(`${STORE}/webproxy-store.json`)) fill();
await using webproxy = await Webproxy.start({
  origin: ORIGIN,
  args: [
    "--threads",
    given.threads,
    "--memory",
    "2GiB",
    "--cache-dir",
    STORE,
    "--disk",
    "40GiB",
    "--hot",
    "0",
    ...positionals,
  ],
});
await using watcher = new Child<SilenceReport>(new URL("./support/silence-watcher.ts", import.meta.url).pathname, {
  args: [webproxy.channel],
});
await watcher.heard();

await during("what is stored becomes known", known);
await during("any of them are asked for", () => ask(REQUESTS));
await during("one in a hundred is purged, and any are asked for", () =>
  Promise.all([purge({ tag: "tag-7" }), ask(REQUESTS)]),
);
await during("all are purged by their tag, and any are asked for", () =>
  Promise.all([purge({ tag: "all-of-them" }), ask(REQUESTS)]),
);
await during("they are collected", () => Bun.sleep(COLLECTED_MS));
await during("all that came meanwhile is purged", () => purge({ all: true }));
for (const line of webproxy.stderr.split("\n").filter((one) => /stands still|goes on|killing|again|hangs/.test(one)))
  console.log(`  ${line}`);
const { restarts, stalls, proxy } = await webproxy.stats();
console.log(
  `killed ${restarts.proxy} and ${restarts.cache} times, taken for standing still ${stalls.proxy} and ${stalls.cache} times; the proxy turned away from a shard ${proxy?.counters.cacheStalls} times`,
);

/** No more come to be known when none has for a while. */
async function known(): Promise<void> {
  for (let before = -1, settled = 0; settled < 10; ) {
    const count = (await webproxy.stats()).cache!.counters.responsesStored;
    settled = count === before ? settled + 1 : 0;
    before = count;
    await Bun.sleep(100);
  }
}

/** By a program of the package whose store it is. */
function fill(): void {
  const script = join(import.meta.dir, "../packages/cache/bench/fill-store.ts");
  const { exitCode } = Bun.spawnSync([process.execPath, script, STORE, ORIGIN, String(RESPONSES)], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (exitCode !== 0) process.exit(1);
}

async function during(what: string, act: () => Promise<unknown>): Promise<void> {
  await watcher.ask("report");
  const startedMs = performance.now();
  await act();
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  const report = await watcher.ask("report");
  const longest = Object.entries(report).map(
    ([thread, { ms, ownMs }]) => `${thread} ${ownMs.toFixed(0)} (${ms.toFixed(0)})`,
  );
  console.log(`${what}, ${seconds} s; longest silence in ms, its own (and all): ${longest.join(", ")}`);
}

async function purge(what: object): Promise<void> {
  const response = await fetch(`http://${webproxy.admin.host}:${webproxy.admin.port}/api/purge`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(what),
    timeout: false, // Bun's own: of a million it may take longer than five minutes
  } as RequestInit);
  console.log(`  ${await response.text()}`);
}

async function ask(requests: number): Promise<void> {
  let next = 0;
  const take = () => (next < requests ? Bun.hash.xxHash32(String(next++)) % RESPONSES : undefined);
  const counts = await Promise.all(Array.from({ length: CONNECTIONS }, () => askOn(webproxy.http, take)));
  const sum = (of: (count: Answers) => number) => counts.reduce((total, count) => total + of(count), 0);
  console.log(
    `  ${requests} asked for, ${sum(({ served }) => served)} served, ${sum(({ refused }) => refused)} refused`,
  );
}

interface Answers {
  served: number;
  /** Answered with another status than 200. */
  refused: number;
}

/** Resolves when all are answered, or the connection has ended before. Bodies are such that heads can be told from them. */
function askOn({ host, port }: Address, take: () => number | undefined): Promise<Answers> {
  const { promise, resolve, reject } = Promise.withResolvers<Answers>();
  const answers: Answers = { served: 0, refused: 0 };
  let open = 0;
  let tail = "";
  const more = (socket: Bun.Socket) => {
    let text = "";
    while (open < PIPELINED) {
      const item = take();
      if (item === undefined) break;
      open++;
      text += `GET /item/${item} HTTP/1.1\r\nHost: a\r\n\r\n`;
    }
    if (text !== "") socket.write(text);
    else if (open === 0) socket.end();
  };
  Bun.connect({
    hostname: host,
    port,
    socket: {
      open: more,
      data(socket, chunk) {
        const text = tail + chunk.toString("latin1");
        const statuses = text.match(/HTTP\/1\.1 [0-9]{3}/g) ?? [];
        for (const status of statuses) answers[status.endsWith("200") ? "served" : "refused"]++;
        // What may be the beginning of the next one is kept, and never a whole one.
        const last = statuses.at(-1);
        tail = text.slice(Math.max(last === undefined ? 0 : text.lastIndexOf(last) + 1, text.length - 11));
        open -= statuses.length;
        more(socket);
      },
      close: () => resolve(answers),
      error: (_socket, error) => reject(error),
    },
  }).catch(reject);
  return promise;
}
