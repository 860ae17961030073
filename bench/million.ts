/**
 * What does a million of stored responses cost? Stores so many of 1 KiB, and says what all processes together hold, spare ones too (RssAnon and RssShmem), and how much processor
 * time a hit takes when any of a thousand is asked for, of a million, and of a thousand among a million: by one
 * webproxy that has stored a thousand and one that has stored a million. Every body is compared.
 *
 *   bun run bench/million.ts [--responses 1000000] [--requests 100000] [--until FILE] [-- WEBPROXY OPTIONS]
 *
 * Storing takes minutes. With `--until` the hits are not measured before that file is there: when the machine is quiet.
 *
 * Without the hot tier, which would answer the thousand by itself. Memory only, unless the options say otherwise: `-- --cache-dir DIR`.
 */
import { existsSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import type { Address } from "../tests/support/address.ts";
import { processUsage } from "../tests/support/process-usage.ts";
import { Webproxy } from "../tests/support/webproxy.ts";
import { machine, median } from "./support/machine.ts";
import { childrenOf } from "./support/peers.ts";

const { values: given, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    responses: { type: "string", default: "1000000" },
    requests: { type: "string", default: "100000" },
    until: { type: "string" },
  },
});
const RESPONSES = Number(given.responses);
const REQUESTS = Number(given.requests);
const FEW = 1000;
const BODY_BYTES = 1024;
const CONNECTIONS = 8;
/** Requests on their way on each connection. */
const PIPELINED = 8;
const ROUNDS = 5;

console.log(machine());
using origin = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch: (request) => {
    const { pathname } = new URL(request.url);
    const headers = { "Cache-Control": "max-age=360000", ETag: `"${pathname}"`, "Content-Type": "text/html" };
    return new Response(bodyOf(Number(pathname.slice("/item/".length))), { headers });
  },
});
const startOptions = {
  origin: `http://127.0.0.1:${origin.port}`,
  args: ["--hot", "0", "--memory", "2GiB", "--cache-dir", "none", "--quiet", ...positionals],
};
await using large = await Webproxy.start(startOptions);
await using small = await Webproxy.start(startOptions);

const emptyBytes = await ownBytes(large);
await ask(small, FEW, (request) => request);
const startedMs = performance.now();
await ask(large, RESPONSES, (request) => request);
const seconds = (performance.now() - startedMs) / 1000;
await Bun.sleep(15_000); // what has been collected is given back by and by
const stats = await large.stats();
const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
console.log(`${RESPONSES} responses of ${BODY_BYTES} bytes stored in ${seconds.toFixed(0)} s`);
console.log(
  `all processes: ${mib(await ownBytes(large))} (${mib(emptyBytes)} of it when nothing was stored); counted in memory ${mib(stats.cache!.counters.memoryBytes)}, stored ${stats.cache!.counters.responsesStored}`,
);
if (given.until !== undefined) while (!existsSync(given.until)) await Bun.sleep(200);
// In turn, so that what else the machine does is done to both.
const costs: { fewMs: number; manyMs: number; someMs: number }[] = [];
for (let round = 0; round <= ROUNDS; round++) {
  const fewMs = await hitMs(small, anyOf(FEW));
  const manyMs = await hitMs(large, anyOf(RESPONSES));
  const someMs = await hitMs(large, anyOf(FEW));
  if (round > 0) costs.push({ fewMs, manyMs, someMs }); // the first one warms up
}
const micros = (ms: number[]) => `${(1000 * median(ms)).toFixed(1)} µs`;
const few = costs.map(({ fewMs }) => fewMs);
const many = costs.map(({ manyMs }) => manyMs);
const some = costs.map(({ someMs }) => someMs);
const ratio = median(costs.map(({ fewMs, manyMs }) => manyMs / fewMs)).toFixed(2);
console.log(
  `a hit, processor time of proxy and cache: ${micros(few)} of ${FEW}, ${micros(many)} of ${RESPONSES} (${ratio} times, median of neighbours), ${micros(some)} of ${FEW} among ${RESPONSES}`,
);
console.log(`after them: ${mib(await ownBytes(large))}`);
const { hits, misses } = await large.stats();
console.log(`${hits} hits, ${misses} misses`);

function bodyOf(item: number): string {
  return `item ${item}\n`.repeat(Math.ceil(BODY_BYTES / `item ${item}\n`.length)).slice(0, BODY_BYTES);
}

async function ownBytes(webproxy: Webproxy): Promise<number> {
  const { proxy } = await webproxy.stats();
  const supervisor = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${proxy!.pid}/status`, "latin1"))?.[1]);
  return [supervisor, ...childrenOf(supervisor)].reduce((sum, pid) => sum + processUsage(pid).ownBytes, 0);
}

/** Spread as random numbers are, the same in each run. */
function anyOf(count: number): (request: number) => number {
  return (request) => Bun.hash.xxHash32(String(request)) % count;
}

async function hitMs(webproxy: Webproxy, itemOf: (request: number) => number): Promise<number> {
  const { proxy, cache } = await webproxy.stats();
  const used = () => processUsage(proxy!.pid).processorMs + processUsage(cache!.pid).processorMs;
  const before = used();
  await ask(webproxy, REQUESTS, itemOf);
  return (used() - before) / REQUESTS;
}

/** Asks so many times, and compares what comes. */
async function ask(webproxy: Webproxy, requests: number, itemOf: (request: number) => number): Promise<void> {
  let next = 0;
  const take = () => (next < requests ? itemOf(next++) : undefined);
  await Promise.all(Array.from({ length: CONNECTIONS }, () => askOn(webproxy.http, take)));
}

function askOn({ host, port }: Address, take: () => number | undefined): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const asked: number[] = [];
  let received: Buffer = Buffer.alloc(0);
  const more = (socket: Bun.Socket) => {
    let text = "";
    for (let item = take(); item !== undefined; item = take()) {
      asked.push(item);
      text += `GET /item/${item} HTTP/1.1\r\nHost: a\r\n\r\n`;
      if (asked.length >= PIPELINED) break;
    }
    if (text !== "") socket.write(text);
    else if (asked.length === 0) socket.end();
  };
  const hear = (socket: Bun.Socket, chunk: Buffer) => {
    received = received.length === 0 ? Buffer.from(chunk) : Buffer.concat([received, chunk]);
    for (let head = received.indexOf("\r\n\r\n"); head >= 0; head = received.indexOf("\r\n\r\n")) {
      const end = head + 4 + BODY_BYTES;
      if (received.length < end) return;
      const item = asked.shift()!;
      const body = received.toString("latin1", head + 4, end);
      if (!received.toString("latin1", 0, 12).endsWith("200") || body !== bodyOf(item))
        return reject(new Error(`wrong answer to item ${item}: ${received.toString("latin1", 0, end)}`));
      received = received.subarray(end);
    }
    if (asked.length === 0) more(socket);
  };
  Bun.connect({
    hostname: host,
    port,
    socket: { open: more, data: hear, close: () => resolve(), error: (_, error) => reject(error) },
  });
  return promise;
}
