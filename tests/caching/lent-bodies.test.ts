/** A body on loan is sent from the cache's own memory, without a copy: what the kernel has of it stays as it was, whatever becomes of the response meanwhile. */
import { expect, test } from "bun:test";
import { once } from "node:events";
import { connect } from "node:net";
import { sha256, someBytes } from "../support/bytes.ts";
import type { ClientBehaviour } from "../support/client-result.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile } from "../support/getfile-client.ts";
import { http } from "../support/http-client.ts";
import { faultCounts, NO_FAULTS, Webproxy } from "../support/webproxy.ts";
import { within } from "../support/within.ts";
import { purge } from "./support.ts";

const LENGTH = 12 * 1024 * 1024;
/** Around what is an object of its own (64 KiB), what fits into a segment with its head and what takes turns (256 KiB). */
const LENGTHS = [65_535, 65_536, 100_000, 261_000, 262_144, 262_145, 300_000];
const PIPELINED = 40;
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

test("bodies that would fit into one segment are lent when the proxy may keep them, and are the same however they were sent", async () => {
  await using origin = CountingOrigin.start();
  const bodies = LENGTHS.map((length, index) => ({ path: `/${length}`, body: someBytes(length, 10 + index) }));
  for (const { path, body } of bodies) origin.set(path, { body, headers: FRESH });
  await using webproxy = await Webproxy.start({ origin: origin.url, args: ["--threads", "1", "--disk", "0"] });
  for (const { path, body } of bodies)
    for (const get of [http, getfile])
      for (let turn = 0; turn < 4; turn++) {
        const address = get === http ? webproxy.http : webproxy.getfile;
        expect(await get(address, path)).toMatchObject({ sha256: sha256(body), isComplete: true });
      }
  const { proxy } = await webproxy.stats();
  // All but the smallest once for each wire, when it was kept.
  expect(proxy!.counters.loansBorrowed).toBeGreaterThanOrEqual(2 * (LENGTHS.length - 1));
  expect(proxy!.counters.hotHits).toBeGreaterThanOrEqual(2 * LENGTHS.length);
}, 60_000);

test("who reads late gets the rest of a body on loan that the kernel had taken a part of, also when it was purged meanwhile", async () => {
  const body = someBytes(200_000, 3);
  await using origin = CountingOrigin.start({ "/a": { body, headers: FRESH } });
  await using webproxy = await Webproxy.start({ origin: origin.url, args: ["--threads", "1", "--disk", "0"] });
  for (let turn = 0; turn < 3; turn++) await http(webproxy.http, "/a");
  const { host, port } = webproxy.http;
  const client = connect({ host, port }).pause();
  const closed = once(client, "close");
  client.write("GET /a HTTP/1.1\r\nHost: a\r\n\r\n".repeat(PIPELINED - 1));
  client.write("GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  await Bun.sleep(300); // the kernel has taken what it takes
  expect(await purge(webproxy, { all: true })).toBe(1);
  const received: Buffer[] = [];
  client.on("data", (chunk: Buffer) => received.push(chunk));
  client.resume();
  await within(30_000, "the responses", closed);
  let rest = Buffer.concat(received);
  for (let response = 0; response < PIPELINED; response++) {
    const start = rest.indexOf("\r\n\r\n") + 4;
    expect(rest.subarray(0, 15).toString("latin1")).toBe("HTTP/1.1 200 OK");
    expect(rest.subarray(start, start + body.length).equals(body)).toBe(true);
    rest = rest.subarray(start + body.length);
  }
  expect(rest.length).toBe(0);
}, 60_000);
