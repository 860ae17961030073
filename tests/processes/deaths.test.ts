/** kill -9 of either process, of both, of the supervisor, and an origin that dies: who was served sees an abort, everybody else is served, and nothing is lost. */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { sha256, someBytes } from "../support/bytes.ts";
import type { ClientResult } from "../support/client-result.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile } from "../support/getfile-client.ts";
import { http } from "../support/http-client.ts";
import { TIERS } from "../support/tiers.ts";
import { faultCounts, NO_FAULTS, ownChannel, type Stats, Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

const LARGE = someBytes(16 * 1024 * 1024, 49);
const SMALL = someBytes(5_000, 50);
const LARGE_SUM = sha256(LARGE);
const SMALL_SUM = sha256(SMALL);
const FRESH = { "Cache-Control": "max-age=600" };
const SEGMENTS = 16;
/** How long a killed process may be away. The machine is shared, so this says "seconds", not how many. */
const BACK_MS = 30_000;

function withFiles(): CountingOrigin {
  return CountingOrigin.start({ "/large": { body: LARGE, headers: FRESH }, "/small": { body: SMALL, headers: FRESH } });
}

async function start(origin: CountingOrigin, tierArgs: readonly string[] = []): Promise<Webproxy> {
  return await Webproxy.start({
    origin: origin.url,
    args: ["--segments", String(SEGMENTS), "--segment-size", "64KiB", ...tierArgs],
  });
}

/** A transfer that is on its way, and stands still until `goOn` is called. */
async function halfWay(webproxy: Webproxy): Promise<{ goOn: () => void; results: Promise<ClientResult>[] }> {
  const paused = Promise.withResolvers<void>();
  let begun = 0;
  const options = () => {
    let isFirst = true;
    const onBody = () => {
      if (isFirst) begun++;
      isFirst = false;
    };
    return { pauseAfterBytes: { bytes: 100_000, until: paused.promise }, onBody };
  };
  const results = [getfile(webproxy.getfile, "/large", options()), http(webproxy.http, "/large", options())];
  await eventually(20_000, "both transfers have begun", () => begun === 2);
  return { goOn: paused.resolve, results };
}

/** Whole and right, or visibly broken off. */
function expectHonest({ status, isComplete, length, sha256 }: ClientResult): void {
  if (isComplete && (status === "OK" || status === "200"))
    expect({ length, sha256 }).toEqual({ length: LARGE.length, sha256: LARGE_SUM });
}

async function servesAgain(webproxy: Webproxy): Promise<void> {
  await eventually(BACK_MS, "both ways serve again", async () => {
    const [file, page] = await Promise.allSettled([getfile(webproxy.getfile, "/small"), http(webproxy.http, "/small")]);
    const isRight = ({ sha256, isComplete }: ClientResult) => isComplete && sha256 === SMALL_SUM;
    return file.status === "fulfilled" && page.status === "fulfilled" && isRight(file.value) && isRight(page.value);
  });
}

async function pids(webproxy: Webproxy): Promise<{ proxy: number; cache: number }> {
  const { proxy, cache } = await webproxy.stats();
  return { proxy: proxy!.pid, cache: cache!.pid };
}

/** What the proxy's present pool has in /dev/shm. */
function segmentFiles(channel: string): number {
  return readdirSync("/dev/shm").filter((name) => name.startsWith(`webproxy.${channel}.pool.seg.`)).length;
}

function serving({ proxy, cache }: Stats): boolean {
  return proxy?.state === "serving" && cache?.state === "serving";
}

for (const { name, args } of TIERS)
  describe(`kill -9, ${name}:`, () => {
    test("of the cache in mid-transfer: an honest end for who was served, everybody else is served within seconds, no segment is lost", async () => {
      await using origin = withFiles();
      await using webproxy = await start(origin, args);
      for (let round = 1; round <= 3; round++) {
        const { goOn, results } = await halfWay(webproxy);
        process.kill((await pids(webproxy)).cache, "SIGKILL");
        goOn();
        for (const result of await Promise.all(results)) expectHonest(result);
        await servesAgain(webproxy);
        const stats = await eventually(BACK_MS, "both serve", async () => {
          const now = await webproxy.stats();
          return serving(now) && now;
        });
        expect(stats.restarts).toEqual({ proxy: 0, cache: round });
        await webproxy.segmentsReturned();
        expect(segmentFiles(webproxy.channel)).toBe(SEGMENTS);
        const [file, page] = await Promise.all([getfile(webproxy.getfile, "/large"), http(webproxy.http, "/large")]);
        expect([file.sha256, page.sha256]).toEqual([LARGE_SUM, LARGE_SUM]);
      }
    }, 180_000);

    test("of the proxy: who connects while there is none is served by the next one", async () => {
      await using origin = withFiles();
      await using webproxy = await start(origin, args);
      for (let round = 1; round <= 3; round++) {
        await servesAgain(webproxy);
        const { proxy } = await pids(webproxy);
        process.kill(proxy, "SIGKILL");
        await eventually(BACK_MS, "it is dead", () => !existsSync(`/proc/${proxy}/fd/0`));
        const clients = Array.from({ length: 20 }, (_, client) =>
          client % 2 === 0
            ? getfile(webproxy.getfile, "/small", { timeoutMs: BACK_MS })
            : http(webproxy.http, "/small", { timeoutMs: BACK_MS }),
        );
        for (const { isComplete, sha256 } of await Promise.all(clients))
          expect({ isComplete, sha256 }).toEqual({ isComplete: true, sha256: SMALL_SUM });
      }
      expect((await webproxy.stats()).restarts).toEqual({ proxy: 3, cache: 0 });
    }, 120_000);

    test("of the proxy in mid-transfer: its clients see an abort, it is back on the same ports, and the cache has let go of what it asked for", async () => {
      await using origin = withFiles();
      await using webproxy = await start(origin, args);
      for (let round = 1; round <= 3; round++) {
        const { goOn, results } = await halfWay(webproxy);
        process.kill((await pids(webproxy)).proxy, "SIGKILL");
        goOn();
        for (const result of await Promise.all(results)) {
          expect(result.isComplete).toBe(false);
          expect(result.length).toBe(LARGE.length);
        }
        await servesAgain(webproxy);
        await eventually(BACK_MS, "the cache has no transfer open", async () => {
          const { cache, restarts } = await webproxy.stats();
          return cache?.counters.transfersOpen === 0 && restarts.proxy === round && restarts.cache === 0;
        });
        await webproxy.segmentsReturned();
        expect(segmentFiles(webproxy.channel)).toBe(SEGMENTS);
      }
      expect(origin.count("/small")).toBe(1);
    }, 180_000);

    test("of both at once", async () => {
      await using origin = withFiles();
      await using webproxy = await start(origin, args);
      const { goOn, results } = await halfWay(webproxy);
      const { proxy, cache } = await pids(webproxy);
      process.kill(cache, "SIGKILL");
      process.kill(proxy, "SIGKILL");
      goOn();
      for (const result of await Promise.all(results)) expect(result.isComplete).toBe(false);
      await servesAgain(webproxy);
      await webproxy.segmentsReturned();
      expect(segmentFiles(webproxy.channel)).toBe(SEGMENTS);
    }, 180_000);

    test("of the supervisor: both processes end, and nothing is left", async () => {
      await using origin = withFiles();
      const webproxy = await start(origin, args);
      try {
        const { proxy, cache } = await pids(webproxy);
        webproxy.kill("SIGKILL");
        await eventually(BACK_MS, "both children have ended", () => !isRunning(proxy) && !isRunning(cache));
        await webproxy.expectNothingLeft();
      } finally {
        await webproxy[Symbol.asyncDispose]();
      }
    }, 180_000);

    test("again and again under load: no wrong byte, no hang, and at the end all is well", async () => {
      await using origin = withFiles();
      await using webproxy = await start(origin, args);
      let isOver = false;
      let whole = 0;
      const clients = Array.from({ length: 12 }, async (_, client) => {
        while (!isOver) {
          try {
            const got = await (client % 2 === 0 ? getfile(webproxy.getfile, "/large") : http(webproxy.http, "/large"));
            expectHonest(got);
            if (got.isComplete) whole++;
          } catch (error) {
            // Refused while the proxy is away, or reset in its backlog. What took too long is a hang, and is the test's to report.
            if (!(error instanceof Error && "code" in error && /^ECONN(REFUSED|RESET)$/.test(String(error.code))))
              throw error;
            await Bun.sleep(20);
          }
        }
      });
      const killing = (async () => {
        for (const victim of ["cache", "proxy", "cache", "cache", "proxy"] as const) {
          await Bun.sleep(700);
          const before = await eventually(BACK_MS, "both serve", async () => {
            const stats = await webproxy.stats();
            return serving(stats) && stats;
          });
          process.kill(before[victim]!.pid, "SIGKILL");
        }
      })();
      try {
        await Promise.race([killing, ...clients]);
        await killing;
      } finally {
        isOver = true;
        await Promise.all(clients);
      }
      expect(whole).toBeGreaterThan(0);
      await servesAgain(webproxy);
      await webproxy.segmentsReturned();
      expect(segmentFiles(webproxy.channel)).toBe(SEGMENTS);
      expect(faultCounts(await webproxy.stats())).toEqual(NO_FAULTS);
    }, 180_000);
  });

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe("an origin that dies", () => {
  test("in mid-body: that response is broken off for all who wait for it, the others are served, and the next is whole", async () => {
    await using origin = withFiles();
    origin.set("/dies", { body: LARGE, headers: FRESH, dieAfterBytes: 5_000_000 });
    await using webproxy = await start(origin);
    const waiting = Array.from({ length: 10 }, (_, index) =>
      index % 2 === 0 ? getfile(webproxy.getfile, "/dies") : http(webproxy.http, "/dies"),
    );
    const others = Array.from({ length: 10 }, () => http(webproxy.http, "/small"));
    for (const got of await Promise.all(waiting)) {
      expect(got.isComplete && (got.status === "OK" || got.status === "200")).toBe(false);
    }
    for (const got of await Promise.all(others)) expect(got).toMatchObject({ sha256: SMALL_SUM, isComplete: true });
    origin.set("/dies", { body: LARGE, headers: FRESH });
    expect(await http(webproxy.http, "/dies")).toMatchObject({ status: "200", sha256: LARGE_SUM, isComplete: true });
    await webproxy.segmentsReturned();
  }, 180_000);

  test("altogether: what is stored is served, what is not is an error that says so, and nothing hangs", async () => {
    const origin = withFiles();
    try {
      await using webproxy = await start(origin);
      expect(await http(webproxy.http, "/small")).toMatchObject({ sha256: SMALL_SUM, isComplete: true });
      await origin[Symbol.asyncDispose]();
      expect(await http(webproxy.http, "/small")).toMatchObject({ status: "200", sha256: SMALL_SUM, isComplete: true });
      expect(await getfile(webproxy.getfile, "/small")).toMatchObject({
        status: "OK",
        sha256: SMALL_SUM,
        isComplete: true,
      });
      expect((await http(webproxy.http, "/large")).status).toMatch(/^50[24]$/);
      expect((await getfile(webproxy.getfile, "/large")).status).toBe("ERROR");
      await webproxy.segmentsReturned();
    } finally {
      await origin[Symbol.asyncDispose]();
    }
  }, 180_000);
});

describe("a cache that is killed and does not come back", () => {
  test("slow clients that go on meanwhile see an abort, others are answered from the origin or told so, nothing spins, and it is served again with the next cache", async () => {
    await using origin = withFiles();
    const channel = ownChannel();
    const args = ["--segments", String(SEGMENTS), "--segment-size", "64KiB", "--hot", "0", "--memory", "0"];
    await using proxy = await Webproxy.start({ origin: origin.url, command: "proxy", channel, args });
    const cache = await Webproxy.start({ origin: origin.url, command: "cache", channel, args });
    expect(await http(proxy.http, "/large")).toMatchObject({ sha256: LARGE_SUM, isComplete: true });
    // Some on each thread, few enough that nobody waits for segments: all that was asked for has arrived, and the cache owes nobody an answer.
    const slow = await Promise.all(Array.from({ length: 3 }, () => halfWay(proxy)));
    await Bun.sleep(300);
    cache.kill("SIGKILL");
    await cache.ended();
    await Bun.sleep(500); // the proxy looks every 50 ms whether the cache lives
    for (const { goOn } of slow) goOn();
    for (const { results } of slow) {
      for (const result of await Promise.all(results)) expect(result.isComplete).toBe(false);
    }
    for (let request = 0; request < 8; request++) {
      const [file, page] = await Promise.all([getfile(proxy.getfile, "/small"), http(proxy.http, "/small")]);
      expect(["OK", "ERROR"]).toContain(file.status!);
      expect(["200", "502", "503", "504"]).toContain(page.status!);
    }
    await using next = await Webproxy.start({ origin: origin.url, command: "cache", channel, args });
    cache.directory[Symbol.dispose]();
    await servesAgain(proxy);
    const [file, page] = await Promise.all([getfile(proxy.getfile, "/large"), http(proxy.http, "/large")]);
    expect([file.sha256, page.sha256]).toEqual([LARGE_SUM, LARGE_SUM]);
    expect((await next.stop()).exitCode).toBe(0);
    expect((await proxy.stop()).exitCode).toBe(0);
  }, 180_000);
});

describe("either process alone", () => {
  for (const [first, second] of [
    ["proxy", "cache"],
    ["cache", "proxy"],
  ] as const) {
    test(`the ${first} first, the ${second} later: they find each other, and each leaves nothing`, async () => {
      await using origin = withFiles();
      const channel = ownChannel();
      await using one = await Webproxy.start({ origin: origin.url, command: first, channel });
      await using other = await Webproxy.start({ origin: origin.url, command: second, channel });
      const proxy = first === "proxy" ? one : other;
      const cache = first === "proxy" ? other : one;
      await servesAgain(proxy);
      // The cache goes and comes back while the proxy stays.
      expect((await cache.stop()).exitCode).toBe(0);
      await using again = await Webproxy.start({ origin: origin.url, command: "cache", channel });
      await servesAgain(proxy);
      expect((await again.stop()).exitCode).toBe(0);
      expect((await proxy.stop()).exitCode).toBe(0);
    }, 180_000);
  }
});
