/**
 * Hundreds of clients ask for much and read nothing of it. What is on its way to them waits in the kernel, and what is not yet stays where it is: neither process grows with them, others are served
 * meanwhile, and when they leave nothing of theirs is left.
 */
import { expect, test } from "bun:test";
import { sha256, someBytes } from "../support/bytes.ts";
import type { ClientBehaviour } from "../support/client-result.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile } from "../support/getfile-client.ts";
import { http } from "../support/http-client.ts";
import { processUsage } from "../support/process-usage.ts";
import { faultCounts, NO_FAULTS, Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

const MIB = 1024 * 1024;
/** More than the kernel takes for one of them on both sides. */
const BODY = someBytes(8 * MIB, 46);
const SMALL = someBytes(2_000, 47);
const SMALL_WHOLE = { length: SMALL.length, sha256: sha256(SMALL), isComplete: true };
const PATIENCE_MS = 60_000;

/** So many of them that each thread of the cache has some. */
const PRIVATE = 16;
const FRESH = { "Cache-Control": "max-age=600" };
/**
 * `growthMax`: of both processes together, in MiB; what is asked for is 10 to 50 times of it. Where each has a connection to the origin, both hold what one read of that has brought, and there are
 * fewer readers: one thread makes 128 connections.
 */
const STORED = { readers: 400, growthMax: 64, pathOf: () => "/fresh" };
const WAYS = [
  { from: "memory, without a copy", args: [], ...STORED },
  { from: "the disk, portion by portion", args: ["--hot", "0", "--memory", "0"], ...STORED },
  {
    from: "the origin",
    args: [],
    readers: 200,
    growthMax: 160,
    pathOf: (reader: number) => `/private/${(reader >> 1) % PRIVATE}`,
  },
];

for (const { from, args, readers: count, growthMax, pathOf } of WAYS) {
  test(`46 ${count} clients that read nothing of what comes from ${from}: neither process grows with them, and others are served`, async () => {
    await using origin = CountingOrigin.start({
      "/fresh": { body: BODY, headers: FRESH },
      "/small": { body: SMALL, headers: FRESH },
    });
    for (let path = 0; path < PRIVATE; path++)
      origin.set(`/private/${path}`, { body: BODY, headers: { "Cache-Control": "private, no-store" } });
    const pool = ["--segments", "16", "--segment-size", "64KiB"];
    await using webproxy = await Webproxy.start({ origin: origin.url, args: [...pool, ...args] });
    const leaving = Promise.withResolvers<void>();
    let begun = 0;
    const stuck = (reader: number) => {
      let hasBegun = false;
      const behaviour: ClientBehaviour = {
        pauseAfterBytes: { bytes: 1, until: leaving.promise },
        leaveAfterBytes: MIB,
        timeoutMs: 2 * PATIENCE_MS,
        onBody: () => {
          if (!hasBegun) begun++;
          hasBegun = true;
        },
      };
      const path = pathOf(reader);
      return reader % 2 === 0 ? http(webproxy.http, path, behaviour) : getfile(webproxy.getfile, path, behaviour);
    };
    // All code has run, what is stored is stored, and what a few readers take is taken.
    for (const get of [() => http(webproxy.http, pathOf(0)), () => getfile(webproxy.getfile, pathOf(0))])
      expect(await get()).toMatchObject({ sha256: sha256(BODY), isComplete: true });
    await expectSmall(webproxy);
    const stats = await webproxy.stats();
    const pids = [stats.proxy!.pid, stats.cache!.pid];
    const before = residentBytes(pids);

    const readers = Promise.all(Array.from({ length: count }, (_, reader) => stuck(reader)));
    try {
      await eventually(
        PATIENCE_MS,
        () => `all have something; ${begun} have`,
        () => begun === count,
      );
      let most = 0;
      for (let look = 0; look < 10; look++) {
        await expectSmall(webproxy);
        most = Math.max(most, residentBytes(pids) - before);
      }
      expect(most).toBeLessThan(growthMax * MIB);
    } finally {
      leaving.resolve();
    }
    for (const { status, isComplete } of await readers) {
      expect(["200", "OK"]).toContain(status!);
      expect(isComplete).toBe(false);
    }
    await webproxy.segmentsReturned();
    await expectSmall(webproxy);
    expect(faultCounts(await webproxy.stats())).toEqual(NO_FAULTS);
  }, 180_000);
}

async function expectSmall(webproxy: Webproxy): Promise<void> {
  for (const got of await Promise.all([http(webproxy.http, "/small"), getfile(webproxy.getfile, "/small")]))
    expect(got).toMatchObject(SMALL_WHOLE);
}

function residentBytes(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + processUsage(pid).residentBytes, 0);
}
