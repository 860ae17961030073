/** More clients, and more threads, than segments: all are served, in turn, and nothing waits for ever. */
import { expect, test } from "bun:test";
import { sha256, someBytes } from "../support/bytes.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile } from "../support/getfile-client.ts";
import { http } from "../support/http-client.ts";
import { TIERS } from "../support/tiers.ts";
import { faultCounts, NO_FAULTS, Webproxy } from "../support/webproxy.ts";

const BODY = someBytes(100_000, 62);
const FRESH = { "Cache-Control": "max-age=600" };
const CLIENTS = 200;
const FILES = 20;
const whole = { length: BODY.length, sha256: sha256(BODY), isComplete: true };

const POOLS: readonly (readonly [string[], string])[] = [
  [["--threads", "8", "--segments", "16", "--segment-size", "4KiB"], "8 threads and 16 segments of 4 KiB"],
  [["--threads", "8", "--segments", "1", "--segment-size", "64KiB"], "8 threads and one segment"],
];

for (const [poolArgs, pool] of POOLS)
  for (const { name: tiers, args: tierArgs } of TIERS) {
    test(`62 ${pool}, ${tiers}: ${CLIENTS} clients at once get every byte, cold and warm, while others stand still or leave`, async () => {
      await using origin = CountingOrigin.start();
      for (let file = 0; file < FILES; file++) origin.set(`/${file}`, { body: BODY, headers: FRESH });
      await using webproxy = await Webproxy.start({ origin: origin.url, args: [...poolArgs, ...tierArgs] });
      for (const _ of ["cold", "warm"]) {
        const goOn = Promise.withResolvers<void>();
        const still = Array.from({ length: 20 }, (_, client) =>
          getfile(webproxy.getfile, `/${client % FILES}`, { pauseAfterBytes: { bytes: 1, until: goOn.promise } }),
        );
        const leaving = Array.from({ length: 20 }, (_, client) =>
          http(webproxy.http, `/${client % FILES}`, { leaveAfterBytes: 10_000 }),
        );
        const served = Array.from({ length: CLIENTS }, (_, client) =>
          client % 2 === 0
            ? getfile(webproxy.getfile, `/${client % FILES}`)
            : http(webproxy.http, `/${client % FILES}`),
        );
        try {
          for (const got of await Promise.all(served)) expect(got).toMatchObject(whole);
        } finally {
          goOn.resolve();
        }
        for (const got of await Promise.all(still)) expect(got).toMatchObject(whole);
        await Promise.all(leaving);
      }
      await webproxy.segmentsReturned();
      const stats = await webproxy.stats();
      // Once for the cache; what a shard is too busy to read is passed to the origin, and counted, whether its client stays for it or leaves before.
      const asked = Array.from({ length: FILES }, (_, file) => origin.count(`/${file}`));
      expect(Math.min(...asked)).toBeGreaterThanOrEqual(1);
      const passed = asked.reduce((sum, count) => sum + count) - FILES;
      expect(passed).toBeLessThanOrEqual(stats.proxy!.counters.passes);
      const { refusedMessages, restarts } = stats;
      expect({ ...faultCounts(stats), refusedMessages, restarts }).toEqual({
        ...NO_FAULTS,
        refusedMessages: 0,
        restarts: { proxy: 0, cache: 0 },
      });
    }, 90_000);
  }

test("1024 segments and 8 threads fit an ordinary user's limits", async () => {
  await using origin = CountingOrigin.start({ "/0": { body: BODY, headers: FRESH } });
  const args = ["--threads", "8", "--segments", "1024", "--segment-size", "4KiB"];
  await using webproxy = await Webproxy.start({ origin: origin.url, args, wrap: ["prlimit", "--msgqueue=819200"] });
  expect(await getfile(webproxy.getfile, "/0")).toMatchObject(whole);
}, 90_000);
