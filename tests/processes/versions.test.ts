/** Every portion of one response comes from one stored version: a file replaced while it is sent never comes out as a mixture. */
import { expect, test } from "bun:test";
import { renameSync, writeFileSync } from "node:fs";
import { sha256, someBytes } from "../support/bytes.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile } from "../support/getfile-client.ts";
import { http } from "../support/http-client.ts";
import { TempDirectory } from "../support/temp-directory.ts";
import { TIERS } from "../support/tiers.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

const BYTES = 8 * 1024 * 1024;
const OLD = someBytes(BYTES, 1);
const NEW = someBytes(BYTES, 2);
const SUMS = [sha256(OLD), sha256(NEW)];
const ARGS = ["--segments", "16", "--segment-size", "16KiB"];

for (const { name, args } of TIERS) {
  test(`a response that has begun keeps its version while a newer one is stored and served, ${name}`, async () => {
    await using origin = CountingOrigin.start({
      "/file": { body: OLD, headers: { ETag: '"old"', "Cache-Control": "max-age=0" } },
    });
    await using webproxy = await Webproxy.start({ origin: origin.url, args: [...ARGS, ...args] });
    for (const get of [
      (options: Parameters<typeof getfile>[2]) => getfile(webproxy.getfile, "/file", options),
      (options: Parameters<typeof http>[2]) => http(webproxy.http, "/file", options),
    ]) {
      origin.set("/file", { body: OLD, headers: { ETag: '"old"', "Cache-Control": "max-age=0" } });
      expect(await get({})).toMatchObject({ sha256: SUMS[0], isComplete: true });
      const goOn = Promise.withResolvers<void>();
      let begun = false;
      const slow = get({
        pauseAfterBytes: { bytes: 20_000, until: goOn.promise },
        onBody: () => {
          begun = true;
        },
      });
      try {
        await eventually(20_000, "the slow response has begun", () => begun);
        origin.set("/file", { body: NEW, headers: { ETag: '"new"', "Cache-Control": "max-age=0" } });
        // Several times, so that whatever the old version leaned on would be gone.
        for (let round = 0; round < 3; round++)
          expect(await get({})).toMatchObject({ sha256: SUMS[1], isComplete: true });
      } finally {
        goOn.resolve();
      }
      expect(await slow).toMatchObject({ sha256: SUMS[0], isComplete: true });
    }
    await webproxy.segmentsReturned();
  }, 120_000);

  test(`a file of a directory that is replaced again and again is served whole or broken off, never mixed, ${name}`, async () => {
    using directory = new TempDirectory({ mode: 0o755 });
    const put = (body: Uint8Array) => {
      writeFileSync(directory.file(".next"), body);
      renameSync(directory.file(".next"), directory.file("file"));
    };
    put(OLD);
    await using webproxy = await Webproxy.start({ origin: directory.path, args: [...ARGS, ...args] });
    let isReplacing = true;
    const replacing = (async () => {
      for (let round = 0; isReplacing; round++) {
        put(round % 2 === 0 ? NEW : OLD);
        await Bun.sleep(7);
      }
    })();
    try {
      const outcomes = new Map<string, number>();
      for (let round = 0; round < 12; round++) {
        // no-cache: each asks the origin again, so that fills run while the file changes.
        const got = await Promise.all([
          http(webproxy.http, "/file", { headers: { "Cache-Control": "no-cache" } }),
          http(webproxy.http, "/file", { headers: { "Cache-Control": "no-cache" } }),
          getfile(webproxy.getfile, "/file"),
        ]);
        for (const { status, isComplete, sha256, length } of got) {
          if (isComplete && (status === "200" || status === "OK")) expect(SUMS).toContain(sha256);
          else if (status === "200" || status === "OK") expect(length).toBe(BYTES); // promised all, and broken off
          const outcome = `${status} ${isComplete ? "whole" : "broken off"}`;
          outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
        }
      }
      expect([...outcomes.keys()].filter((outcome) => outcome.endsWith("whole")).length).toBeGreaterThan(0);
    } finally {
      isReplacing = false;
      await replacing;
    }
    await webproxy.segmentsReturned();
  }, 120_000);
}
