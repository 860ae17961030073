/**
 * A process that is stopped, or one of whose threads hangs or has ended, is noticed although it lives (CHECKLIST 51): what it owes is got from elsewhere, and a supervisor
 * replaces it. Left alone, it goes on where it was, late and not harmful: what it still writes reaches nobody else's response.
 */
import { describe, expect, test } from "bun:test";
import { sha256, someBytes } from "../support/bytes.ts";
import type { ClientResult } from "../support/client-result.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile } from "../support/getfile-client.ts";
import { http } from "../support/http-client.ts";
import { blockThread, endThread, holdThread, spinThread } from "../support/thread-fault.ts";
import { ownChannel, type Stats, Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

/** Longer than the 15 s after which the proxy takes a cache that says nothing for hung, and replaces the segments that it has. */
const STOPPED_MS = 30_000;
/** Longer than a supervisor lets a process be silent. */
const SUPERVISOR_STOPPED_MS = 3_000;
/** How long something may take that takes a second on a machine of one's own. */
const SOON_MS = 60_000;
const FILES = Array.from({ length: 8 }, (_, file) => {
  const body = someBytes(300_000, 51 + file);
  return { path: `/${file}`, body, length: body.length, sha256: sha256(body) };
});
const CLIENTS = 32;

function withFiles(): CountingOrigin {
  const origin = CountingOrigin.start();
  for (const { path, body } of FILES) origin.set(path, { body, headers: { "Cache-Control": "max-age=600" } });
  return origin;
}

/** Each file by several clients, both ways. */
function getAll(webproxy: Webproxy): Promise<ClientResult>[] {
  return Array.from({ length: CLIENTS }, (_, client) => {
    const { path } = FILES[client % FILES.length]!;
    return client % 2 === 0
      ? getfile(webproxy.getfile, path, { timeoutMs: 60_000 })
      : http(webproxy.http, path, { timeoutMs: 60_000 });
  });
}

function expectHonest(results: readonly ClientResult[]): void {
  for (const [client, { status, isComplete, length, sha256 }] of results.entries()) {
    if (!isComplete || (status !== "OK" && status !== "200")) continue;
    const file = FILES[client % FILES.length]!;
    expect({ length, sha256 }).toEqual({ length: file.length, sha256: file.sha256 });
  }
}

function expectServed(results: readonly ClientResult[]): void {
  for (const { status, isComplete } of results) expect(["OK true", "200 true"]).toContain(`${status} ${isComplete}`);
  expectHonest(results);
}

/** What was refused by then was refused for being late, as it should; nothing more may be. */
async function expectAllWell(webproxy: Webproxy): Promise<void> {
  const before = await webproxy.stats();
  for (let round = 0; round < 5; round++) expectServed(await Promise.all(getAll(webproxy)));
  await webproxy.segmentsReturned();
  expect((await webproxy.stats()).refusedMessages).toBe(before.refusedMessages);
}

function readiness(webproxy: Webproxy): Promise<number> {
  const url = `http://${webproxy.admin.host}:${webproxy.admin.port}/readyz`;
  return fetch(url, { headers: { connection: "close" } }).then(({ status }) => status);
}

async function replaced(webproxy: Webproxy, side: "proxy" | "cache", former: number): Promise<Stats> {
  return await eventually(SOON_MS, `another ${side} serves`, async () => {
    const stats = await webproxy.stats();
    return (
      stats[side]?.state === "serving" && stats[side].pid !== former && (await readiness(webproxy)) === 200 && stats
    );
  });
}

/** Fewer segments than clients, and small ones: each response takes many turns, and whatever is late hits one that is in use. */
const ARGS = ["--segments", "16", "--segment-size", "8KiB", "--hot", "0", "--memory", "0"];

describe("with nobody who would replace it", () => {
  test(`51 a cache that is stopped for ${STOPPED_MS / 1000} s: nobody hangs, nobody gets a wrong byte, the origin answers meanwhile, and afterwards all is well`, async () => {
    await using origin = withFiles();
    const channel = ownChannel();
    await using cache = await Webproxy.start({ origin: origin.url, command: "cache", channel, args: ARGS });
    await using webproxy = await Webproxy.start({ origin: origin.url, command: "proxy", channel, args: ARGS });
    await Promise.all(getAll(webproxy));
    const running = getAll(webproxy);
    process.kill(cache.pid, "SIGSTOP");
    try {
      running.push(...getAll(webproxy));
      const stopped = Bun.sleep(STOPPED_MS);
      await eventually(
        SOON_MS,
        "the proxy has seen it",
        async () => (await webproxy.stats()).proxy!.counters.cacheStalls > 0,
      );
      // What is asked for now does not wait for it.
      expectServed(await Promise.all(getAll(webproxy)));
      await stopped;
      // What it may still write into is nobody's any more.
      expect((await webproxy.stats()).proxy!.counters.segmentsReplaced).toBeGreaterThan(0);
    } finally {
      process.kill(cache.pid, "SIGCONT");
    }
    // While the late answers come in, others are served.
    const during = getAll(webproxy);
    expectHonest(await Promise.all(running));
    expectServed(await Promise.all(during));
    await expectAllWell(webproxy);
    expect((await cache.stop()).exitCode).toBe(0);
  }, 180_000);

  test("51 a proxy that is stopped for 3 s goes on where it was", async () => {
    await using origin = withFiles();
    const channel = ownChannel();
    await using cache = await Webproxy.start({ origin: origin.url, command: "cache", channel, args: ARGS });
    await using webproxy = await Webproxy.start({ origin: origin.url, command: "proxy", channel, args: ARGS });
    const running = getAll(webproxy);
    process.kill(webproxy.pid, "SIGSTOP");
    await Bun.sleep(3_000);
    process.kill(webproxy.pid, "SIGCONT");
    const results = await Promise.all(running);
    for (const { isComplete } of results) expect(isComplete).toBe(true);
    expectHonest(results);
    await expectAllWell(webproxy);
    expect((await cache.stop()).exitCode).toBe(0);
  }, 120_000);
});

describe("under its supervisor", () => {
  test(`51 a supervisor that is stopped for ${SUPERVISOR_STOPPED_MS / 1000} s: both processes serve meanwhile, and are the same ones when it goes on`, async () => {
    await using origin = withFiles();
    await using webproxy = await Webproxy.start({ origin: origin.url, args: ARGS });
    const pidsOf = ({ proxy, cache }: Stats) => ({ proxy: proxy?.pid, cache: cache?.pid });
    const before = await webproxy.stats();
    process.kill(webproxy.pid, "SIGSTOP");
    try {
      const until = performance.now() + SUPERVISOR_STOPPED_MS;
      do expectServed(await Promise.all(getAll(webproxy)));
      while (performance.now() < until);
    } finally {
      process.kill(webproxy.pid, "SIGCONT");
    }
    // It has seen nothing of either for longer than it lets any of them be silent: whom it would kill for that it kills within its next looks.
    await expectAllWell(webproxy);
    expect(await readiness(webproxy)).toBe(200);
    const after = await webproxy.stats();
    expect(pidsOf(after)).toEqual(pidsOf(before));
    expect(after.restarts).toEqual({ proxy: 0, cache: 0 });
    expect((await webproxy.stop()).exitCode).toBe(0);
  }, 120_000);

  for (const side of ["proxy", "cache"] as const) {
    test(`a ${side} that is stopped is seen as not ready, and replaced`, async () => {
      await using origin = withFiles();
      await using webproxy = await Webproxy.start({ origin: origin.url, args: ARGS });
      const before = await webproxy.stats();
      const { pid } = before[side]!;
      const running = getAll(webproxy);
      process.kill(pid, "SIGSTOP");
      // A proxy that is replaced half a second later may be so between two looks.
      await eventually(
        SOON_MS,
        "it is not ready",
        async () => (await readiness(webproxy)) === 503 || (await webproxy.stats()).stalls[side] > 0,
      );
      if (side === "cache") expectServed(await Promise.all(getAll(webproxy)));
      const { restarts, stalls } = await replaced(webproxy, side, pid);
      expect(restarts[side]).toBe(1);
      expect(stalls[side]).toBe(1);
      const ended = await Promise.allSettled(running);
      expectHonest(ended.map((one) => (one.status === "fulfilled" ? one.value : NOTHING)));
      await expectAllWell(webproxy);
    }, 180_000);

    for (const { how, fault } of [
      { how: "has ended unnoticed by its program", fault: endThread },
      { how: "is held", fault: holdThread },
      { how: "computes without end", fault: spinThread },
      { how: "waits without end", fault: blockThread },
    ]) {
      test(`one thread of the ${side} that ${how}: its process is replaced, and all are served`, async () => {
        await using origin = withFiles();
        await using webproxy = await Webproxy.start({ origin: origin.url, args: ARGS });
        await Promise.all(getAll(webproxy));
        const { pid } = (await webproxy.stats())[side]!;
        const running = getAll(webproxy);
        const faulty = await fault(pid, `${side} 1`);
        try {
          if (side === "cache") {
            await eventually(
              SOON_MS,
              "the proxy has seen it",
              async () => (await webproxy.stats()).proxy!.counters.cacheStalls > 0,
            );
            expectServed(await Promise.all(getAll(webproxy)));
          }
          const { restarts } = await replaced(webproxy, side, pid);
          expect(restarts[side]).toBe(1);
        } finally {
          await faulty?.[Symbol.asyncDispose]();
        }
        const ended = await Promise.allSettled(running);
        expectHonest(ended.map((one) => (one.status === "fulfilled" ? one.value : NOTHING)));
        await expectAllWell(webproxy);
      }, 180_000);
    }
  }
});

const NOTHING: ClientResult = {
  status: undefined,
  length: undefined,
  bytes: 0,
  sha256: "",
  isComplete: false,
  head: "",
};
