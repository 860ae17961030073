/** The C original died after 32,744 requests: many requests through one process pair leave memory, mappings and descriptors where they were. */
import { expect, test } from "bun:test";
import { sha256, someBytes } from "../support/bytes.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile } from "../support/getfile-client.ts";
import { http } from "../support/http-client.ts";
import { type ProcessUsage, processUsage } from "../support/process-usage.ts";
import { IS_WHOLE } from "../support/scale.ts";
import { TIERS } from "../support/tiers.ts";
import { faultCounts, NO_FAULTS, type Stats, Webproxy } from "../support/webproxy.ts";

/** As many as killed the original, and more; the whole run is six times that. */
const REQUESTS = IS_WHOLE ? 200_000 : 34_000;
const WARM_UP = 4_000;
const AT_ONCE = 24;
const BODIES = [someBytes(1024, 1), someBytes(70_000, 2)].map((body) => ({ body, sha256: sha256(body) }));

/** The long way alone in a short run: it is the one that leaked. */
const SETTINGS = TIERS.filter(({ name }) => IS_WHOLE || name === "portions only");

for (const { name, args } of SETTINGS)
  test(
    `${REQUESTS} requests through one process pair, ${name}: every body right, and no growth`,
    async () => {
      await using origin = CountingOrigin.start();
      for (const [file, { body }] of BODIES.entries()) {
        origin.set(`/${file}`, { body, headers: { "Cache-Control": "max-age=6000" } });
      }
      await using webproxy = await Webproxy.start({
        origin: origin.url,
        args: ["--segments", "16", "--segment-size", "64KiB", ...args],
      });
      await run(webproxy, WARM_UP);
      const before = usage(await webproxy.stats());
      await run(webproxy, REQUESTS);
      await webproxy.segmentsReturned();
      const stats = await webproxy.stats();
      const after = usage(stats);
      for (const side of ["proxy", "cache"] as const) {
        const grown = difference(after[side], before[side]);
        // A leak of one in a hundred requests would be 340.
        expect({ side, mappings: grown.mappings < 200, descriptors: grown.descriptors < 60 }).toEqual({
          side,
          mappings: true,
          descriptors: true,
        });
        // A leak of the smaller body alone would be 17 MiB and more; what the engine's heap does by itself is less than 96 MiB.
        expect({
          side,
          residentBytes: grown.residentBytes,
          isBounded: grown.residentBytes < 96 * 1024 * 1024,
        }).toMatchObject({ isBounded: true });
      }
      expect({
        restarts: stats.restarts,
        ...faultCounts(stats),
        refusedMessages: stats.refusedMessages,
      }).toEqual({
        restarts: { proxy: 0, cache: 0 },
        ...NO_FAULTS,
        refusedMessages: 0,
      });
      expect([origin.count("/0"), origin.count("/1")]).toEqual([1, 1]);
    },
    IS_WHOLE ? 600_000 : 120_000,
  );

async function run(webproxy: Webproxy, requests: number): Promise<void> {
  let left = requests;
  const client = async () => {
    while (left > 0) {
      const request = left--;
      const file = request % 16 === 0 ? 1 : 0;
      const get = request % 2 === 0 ? getfile(webproxy.getfile, `/${file}`) : http(webproxy.http, `/${file}`);
      const { isComplete, sha256 } = await get;
      // An expect() for each would be the most expensive part of the test.
      if (!isComplete || sha256 !== BODIES[file]!.sha256)
        expect(await get).toMatchObject({ isComplete: true, sha256: BODIES[file]!.sha256 });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, client));
}

function usage({ proxy, cache }: Stats): Record<"proxy" | "cache", ProcessUsage> {
  return { proxy: processUsage(proxy!.pid), cache: processUsage(cache!.pid) };
}

function difference(
  after: ProcessUsage,
  before: ProcessUsage,
): Pick<ProcessUsage, "residentBytes" | "mappings" | "descriptors"> {
  return {
    residentBytes: after.residentBytes - before.residentBytes,
    mappings: after.mappings - before.mappings,
    descriptors: after.descriptors - before.descriptors,
  };
}
