/**
 * Many clients ask for much and read nothing of it. What is on its way to them waits in the kernel, and what is not yet stays where it is: neither process grows with them, others are served
 * meanwhile, and when they leave nothing of theirs is left.
 */
import { expect, test } from "bun:test";
import { sha256, someBytes } from "../support/bytes.ts";
import type { ClientBehaviour } from "../support/client-result.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile } from "../support/getfile-client.ts";
import { http } from "../support/http-client.ts";
import { processUsage } from "../support/process-usage.ts";
import { faultCounts, NO_FAULTS, type Stats, Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

const MIB = 1024 * 1024;
/** More than the kernel takes for one of them on both sides. */
const BODY = someBytes(8 * MIB, 46);
const SMALL = someBytes(2_000, 47);
const SMALL_WHOLE = { length: SMALL.length, sha256: sha256(SMALL), isComplete: true };
const PATIENCE_MS = 60_000;
const STILL_MS = 300;

const PRIVATE = 16;
const FRESH = { "Cache-Control": "max-age=600" };
/**
 * How much each process may grow, in MiB: of what it holds, since what waits in the kernel's socket buffers is no process's. What is asked for is 10 to 50 times of it.
 *
 * The proxy has a segment's bytes of each reader (64 KiB) where the segment was wanted by others: 12.5 MiB of 200. It has grown by 11 to 34. The cache has nothing of readers of what is stored: by 3 to 9.
 * Where each reader has a connection to the origin, it has 64 KiB ahead of it, what one read of that connection brings (128 KiB), and the rest of a block (64 KiB): 30 MiB of 120. Before they are so many
 * each has up to 1 MiB, of 8 MiB in all. As much again is allowed for blocks that readers have passed and that are not collected yet, and 100 KiB for a connection and its exchange. It has grown by 64 to
 * 75, and by 141 to 188 with 1 MiB for each.
 *
 * Two threads, so that there are two shares of 8 MiB, however many processors there are. Each makes 128 connections, and no reader is to wait for one.
 */
const STORED = { readers: 200, growthMax: { proxy: 64, cache: 32 }, pathOf: () => "/fresh" };
const WAYS = [
  { from: "memory, without a copy", args: [], ...STORED },
  { from: "the disk, portion by portion", args: ["--hot", "0", "--memory", "0"], ...STORED },
  {
    from: "the origin",
    args: ["--threads", "2"],
    readers: 120,
    growthMax: { proxy: 64, cache: 2 * (30 + 2 * 8) + 12 },
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
    const before = residentBytes(stats);

    const readers = Promise.all(Array.from({ length: count }, (_, reader) => stuck(reader)));
    try {
      await eventually(
        PATIENCE_MS,
        () => `all have something; ${begun} have`,
        () => begun === count,
      );
      let moved = -1;
      await eventually(PATIENCE_MS, "nothing moves any more: all stand still with what they have", async () => {
        const before = moved;
        await Bun.sleep(STILL_MS);
        const { portions, cache } = await webproxy.stats();
        moved = portions + cache!.counters.originBytes;
        return moved === before;
      });
      const most = { proxy: 0, cache: 0 };
      for (let look = 0; look < 10; look++) {
        await expectSmall(webproxy);
        const now = residentBytes(stats);
        most.proxy = Math.max(most.proxy, now.proxy - before.proxy);
        most.cache = Math.max(most.cache, now.cache - before.cache);
      }
      expect({ most, isIn: most.proxy < growthMax.proxy * MIB && most.cache < growthMax.cache * MIB }).toMatchObject({
        isIn: true,
      });
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

function residentBytes({ proxy, cache }: Stats): { proxy: number; cache: number } {
  return { proxy: processUsage(proxy!.pid).residentBytes, cache: processUsage(cache!.pid).residentBytes };
}
