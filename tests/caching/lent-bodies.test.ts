/** A body on loan is sent from the cache's own memory, without a copy: what the kernel has of it stays as it was, whatever becomes of the response meanwhile. */
import { expect, test } from "bun:test";
import { sha256, someBytes } from "../support/bytes.ts";
import type { ClientBehaviour } from "../support/client-result.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile } from "../support/getfile-client.ts";
import { http } from "../support/http-client.ts";
import { faultCounts, NO_FAULTS, Webproxy } from "../support/webproxy.ts";
import { purge } from "./support.ts";

const LENGTH = 12 * 1024 * 1024;
const FRESH = { "Cache-Control": "max-age=600" };

test("clients that read late get the body that was sent to them, although it was purged and its memory went to others", async () => {
  const body = someBytes(LENGTH, 1);
  await using origin = CountingOrigin.start({ "/a": { body, headers: FRESH } });
  await using webproxy = await Webproxy.start({ origin: origin.url, args: ["--memory", "128MiB", "--disk", "0"] });
  const ask = [
    (behaviour?: ClientBehaviour) => http(webproxy.http, "/a", behaviour),
    (behaviour?: ClientBehaviour) => getfile(webproxy.getfile, "/a", behaviour),
  ];
  for (const get of ask) for (let turn = 0; turn < 3; turn++) await get();

  const reading = Promise.withResolvers<void>();
  const late = [100_000, 1_000_000, 5_000_000].flatMap((bytes) =>
    ask.map((get) => get({ pauseAfterBytes: { bytes, until: reading.promise } })),
  );
  await Bun.sleep(300); // the kernel has taken what it takes
  try {
    expect(await purge(webproxy, { all: true })).toBe(1);
    for (let other = 0; other < 12; other++) {
      origin.set(`/other-${other}`, { body: someBytes(LENGTH / 2, 100 + other), headers: FRESH });
      await http(webproxy.http, `/other-${other}`);
    }
    const changed = someBytes(LENGTH, 2);
    origin.set("/a", { body: changed, headers: FRESH });
    for (const get of ask) expect(await get()).toMatchObject({ sha256: sha256(changed), isComplete: true });
  } finally {
    reading.resolve();
  }
  for (const got of await Promise.all(late)) expect(got).toMatchObject({ sha256: sha256(body), isComplete: true });
  const stats = await webproxy.stats();
  expect(stats.proxy!.counters.loansBorrowed).toBeGreaterThan(0);
  expect(faultCounts(stats)).toEqual(NO_FAULTS);
}, 120_000);
