/**
 * CHECKLIST 51, 49: a cache that is stopped in the midst of its answers outlives the proxy that it answers. What it goes on with when it is continued is meant for memory of a life that is over: nobody
 * who is served by the next life sees a byte of it, and questions of lives that it no longer knows are refused.
 *
 * Three checks of the cache say so, each on its own: the life (ChannelServer.#attach), the segment's generation (PoolCore), the ticket in its header (isAsked). It fails with all three taken out, and mostly with the first and the last.
 */
import { expect, test } from "bun:test";
import { sha256, someBytes } from "../support/bytes.ts";
import type { ClientResult } from "../support/client-result.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile } from "../support/getfile-client.ts";
import { http } from "../support/http-client.ts";
import { faultCounts, NO_FAULTS, ownChannel, Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

const SOON_MS = 60_000;
const ROUNDS = 2;
const CLIENTS = 32;
/** Of different lengths and contents: an answer to another question, or to another's, shows. Small enough to be copied into the segments, portion by portion. */
const FILES = Array.from({ length: 8 }, (_, file) => {
  const body = someBytes(60_000 + file, 510 + file);
  return { path: `/${file}`, body, length: body.length, sha256: sha256(body) };
});
/** Few and small segments: nearly all of them are in use, by portion after portion, in each life. */
const ARGS = ["--segments", "16", "--segment-size", "8KiB", "--hot", "0"];

test(`51 a cache that is stopped outlives two proxies, and goes on under the third, ${ROUNDS} times: what it is late with reaches nobody`, async () => {
  await using origin = CountingOrigin.start();
  for (const { path, body } of FILES) origin.set(path, { body, headers: { "Cache-Control": "max-age=600" } });
  const channel = ownChannel();
  await using cache = await Webproxy.start({ origin: origin.url, command: "cache", channel, args: ARGS });
  const startProxy = () => Webproxy.start({ origin: origin.url, command: "proxy", channel, args: ARGS });
  let proxy = await startProxy();
  try {
    await expectServed(proxy);
    for (let round = 0; round < ROUNDS; round++) {
      const refusedBefore = (await proxy.stats()).cache!.counters.refusedMessages;
      const first = new Clients(proxy);
      await eventually(SOON_MS, "the first proxy's clients are served", () => first.served > CLIENTS);
      process.kill(cache.pid, "SIGSTOP");
      await endAbruptly(proxy);
      await first.stop();

      // The second one has something to tell that nobody else may answer for: its question waits, behind those of the first.
      proxy = await startProxy();
      await expectServed(proxy);
      const told = Promise.allSettled([http(proxy.http, FILES[0]!.path, { method: "POST" })]);
      await eventually(SOON_MS, "the second proxy has asked the cache", async () => {
        return ((await proxy.stats()).proxy?.counters.messagesSent ?? 0) > 0;
      });
      await endAbruptly(proxy);
      await told;

      proxy = await startProxy();
      await expectServed(proxy);
      const third = new Clients(proxy);
      await eventually(SOON_MS, "the third proxy's clients are served", () => third.served > CLIENTS);
      process.kill(cache.pid, "SIGCONT");
      await eventually(SOON_MS, "the cache has refused what is not of the third", async () => {
        return (await proxy.stats()).cache!.counters.refusedMessages > refusedBefore;
      });
      const { portions } = await proxy.stats();
      await eventually(SOON_MS, "the cache answers the third", async () => (await proxy.stats()).portions > portions);
      await third.stop();
      expect(third.unserved).toEqual([]);
      await expectServed(proxy);
      await proxy.segmentsReturned();
      const stats = await proxy.stats();
      // Whatever was not an answer to its own question would have been counted here.
      expect(stats.proxy!.counters.refusedMessages).toBe(0);
      expect(faultCounts(stats)).toEqual(NO_FAULTS);
    }
    expect((await cache.stop()).exitCode).toBe(0);
    expect((await proxy.stop()).exitCode).toBe(0);
  } finally {
    cache.kill("SIGCONT");
    await endAbruptly(proxy);
  }
}, 180_000);

/** Its objects stay: they are the next one's to remove. */
async function endAbruptly(proxy: Webproxy): Promise<void> {
  proxy.kill("SIGKILL");
  await proxy.ended();
  proxy.directory[Symbol.dispose]();
}

function get(proxy: Webproxy, client: number): Promise<ClientResult> {
  const { path } = FILES[client % FILES.length]!;
  return client % 2 === 0 ? getfile(proxy.getfile, path) : http(proxy.http, path);
}

function isServed({ status, isComplete }: ClientResult): boolean {
  return isComplete && (status === "OK" || status === "200");
}

function expectRight(result: ClientResult, client: number): void {
  const { length, sha256 } = FILES[client % FILES.length]!;
  expect({ length: result.length, sha256: result.sha256 }).toEqual({ length, sha256 });
}

async function expectServed(proxy: Webproxy): Promise<void> {
  const results = await Promise.all(Array.from({ length: CLIENTS }, (_, client) => get(proxy, client)));
  for (const [client, result] of results.entries()) {
    expect(isServed(result)).toBe(true);
    expectRight(result, client);
  }
}

/** They ask again and again until they are stopped. Whoever is served has the right bytes. */
class Clients {
  served = 0;
  /** What was no whole answer. */
  readonly unserved: string[] = [];
  readonly #clients: Promise<void>[];
  #isOver = false;

  constructor(proxy: Webproxy) {
    this.#clients = Array.from({ length: CLIENTS }, (_, client) => this.#repeat(proxy, client));
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#clients);
  }

  async #repeat(proxy: Webproxy, client: number): Promise<void> {
    while (!this.#isOver) {
      let result: ClientResult;
      try {
        result = await get(proxy, client);
      } catch (error) {
        if (!(error instanceof Error && "code" in error && /^ECONN/.test(String(error.code)))) throw error;
        this.unserved.push(String(error));
        return;
      }
      if (isServed(result)) {
        expectRight(result, client);
        this.served++;
      } else {
        this.unserved.push(`${result.status}, ${result.bytes} of ${result.length}`);
      }
    }
  }
}
