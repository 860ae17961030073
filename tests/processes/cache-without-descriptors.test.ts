/** A cache that the kernel refuses what it takes to read its proxy's questions: they are answered from the origin, not after their time is over, both logs say so, and it is used again when it can. */
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile } from "../support/getfile-client.ts";
import { field, http } from "../support/http-client.ts";
import { faultCounts, NO_FAULTS, Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

/** Less than the 10 s after which a request is refused that gets no segment, and the 15 s after which one is given up that gets no answer. */
const CLIENT_MS = 8_000;
const SOON_MS = 30_000;

/** It keeps the descriptors that it has, and gets no others. */
function limitDescriptors(pid: number, limit: number): void {
  Bun.spawnSync(["prlimit", "--pid", String(pid), `--nofile=${limit}:`]);
}

test("a cache that gets no more descriptors: all are served from the origin, and by it once it gets some", async () => {
  await using origin = CountingOrigin.start();
  const body = Buffer.alloc(10_000, "x");
  for (let file = 0; file < 64; file++) origin.set(`/${file}`, { body, headers: { "Cache-Control": "max-age=600" } });
  await using webproxy = await Webproxy.start({ origin: origin.url, args: ["--segments", "16", "--threads", "1"] });
  const { pid } = (await webproxy.stats()).cache!;
  const highest = Math.max(...readdirSync(`/proc/${pid}/fd`).map(Number));
  limitDescriptors(pid, highest - 3); // below its own: none is left
  const results = await Promise.all(
    Array.from({ length: 64 }, (_, file) =>
      file % 2 === 0
        ? http(webproxy.http, `/${file}`, { timeoutMs: CLIENT_MS })
        : getfile(webproxy.getfile, `/${file}`, { timeoutMs: CLIENT_MS }),
    ),
  );
  for (const { status, isComplete, length } of results)
    expect([`200 true ${body.length}`, `OK true ${body.length}`]).toContain(`${status} ${isComplete} ${length}`);
  await webproxy.says("of shard 0 is refused until that can be done");
  await webproxy.says("The cache can not read what it is asked");
  limitDescriptors(pid, 1_024);
  await eventually(SOON_MS, "it answers again", async () => {
    const { head } = await http(webproxy.http, "/0");
    return field(head, "cache-status")?.includes("hit");
  });
  await webproxy.says("The cache answers again");
  await webproxy.segmentsReturned();
  const stats = await webproxy.stats();
  expect([stats.restarts, faultCounts(stats)]).toEqual([{ proxy: 0, cache: 0 }, NO_FAULTS]);
}, 120_000);
