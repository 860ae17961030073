/**
 * How long does a request take whose response another node has stored, beside one that goes to the origin? One node stores objects in a `redis-server` on the loopback, another,
 * which has none of them, is asked for each once, one after the other; beside it a node without a shared tier, whose origin is 0, 5 and 50 ms away (round trip).
 *
 *   bun run bench/shared-hit.ts [--objects 200]
 */
import { connect } from "node:net";
import { someBytes } from "../tests/support/bytes.ts";
import { CountingOrigin } from "../tests/support/counting-origin.ts";
import { RedisServer } from "../tests/support/redis.ts";
import { Webproxy } from "../tests/support/webproxy.ts";
import { DelayedRelay } from "./support/delayed-relay.ts";
import { machine } from "./support/machine.ts";

const OBJECTS = Number(process.argv[process.argv.indexOf("--objects") + 1]) || 200;
const SIZES = [1_000, 100_000, 2_000_000];
const DELAYS_MS = [0, 5, 50];

/** A connection that is kept, and what each response on it takes from the request to its last byte, in ms. */
class Client {
  readonly #socket;
  #wanted = 0;
  #arrived = 0;
  #done: (() => void) | undefined;

  constructor(host: string, port: number) {
    this.#socket = connect({ host, port, noDelay: true });
    this.#socket.on("data", (chunk) => {
      if (this.#wanted === 0) {
        const head = chunk.toString("latin1");
        this.#wanted = head.indexOf("\r\n\r\n") + 4 + Number(/content-length: (\d+)/i.exec(head)?.[1]);
      }
      this.#arrived += chunk.length;
      if (this.#arrived >= this.#wanted) this.#done?.();
    });
  }

  async get(path: string): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wanted = this.#arrived = 0;
    this.#done = resolve;
    const startedMs = performance.now();
    this.#socket.write(`GET ${path} HTTP/1.1\r\nHost: bench\r\n\r\n`);
    await promise;
    return performance.now() - startedMs;
  }

  close(): void {
    this.#socket.destroy();
  }
}

function describe(times: number[]): string {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!.toFixed(2);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`;
}

async function measure({ host, port }: { host: string; port: number }, paths: readonly string[]): Promise<number[]> {
  const client = new Client(host, port);
  await client.get("/warm-up");
  const times: number[] = [];
  for (const path of paths) times.push(await client.get(path));
  client.close();
  return times;
}

console.log(machine());
console.log(`${OBJECTS} objects of each size, each asked for once, one after the other`);
await using redis = await RedisServer.start();
await using origin = CountingOrigin.start();
const headers = { "Cache-Control": "max-age=3600" };
for (const bytes of [0, ...SIZES]) {
  const body = someBytes(bytes, bytes);
  for (let index = 0; index < OBJECTS; index++) origin.set(`/${bytes}/${index}`, { body, headers });
}
origin.set("/warm-up", { body: Buffer.from("warm"), headers });
const args = ["--threads", "1", "--memory", "1GiB", "--disk", "0"];
{
  await using a = await Webproxy.start({ origin: origin.url, args: [...args, "--shared", redis.url] });
  await using b = await Webproxy.start({ origin: origin.url, args: [...args, "--shared", redis.url] });
  await Bun.sleep(1_500);
  for (const bytes of SIZES) {
    const paths = Array.from({ length: OBJECTS }, (_, index) => `/${bytes}/${index}`);
    await measure(a.http, paths);
    await Bun.sleep(2_000);
    const before = origin.requests.length;
    const times = await measure(b.http, paths);
    console.log(`${bytes} B, shared: ${describe(times)} (${origin.requests.length - before} went to the origin)`);
  }
}
for (const delayMs of DELAYS_MS) {
  await using relay = await DelayedRelay.start(origin.port, delayMs);
  await using alone = await Webproxy.start({ origin: `http://127.0.0.1:${relay.port}`, args });
  for (const bytes of SIZES) {
    const paths = Array.from({ length: OBJECTS }, (_, index) => `/${bytes}/${index}`);
    console.log(`${bytes} B, origin ${delayMs} ms away: ${describe(await measure(alone.http, paths))}`);
  }
}
