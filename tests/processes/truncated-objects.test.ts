/** CHECKLIST 56: somebody cuts an object of /dev/shm short that is mapped. Who touches it may end, nobody else does, and all are served again. */
import { expect, test } from "bun:test";
import { closeSync, ftruncateSync, openSync, readdirSync, readFileSync, truncateSync, writeSync } from "node:fs";
import { sha256, someBytes } from "../support/bytes.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile } from "../support/getfile-client.ts";
import { http } from "../support/http-client.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

const BODY = someBytes(400_000, 56);
const SUM = sha256(BODY);

/** Everything of the channel in /dev/shm whose name, behind the channel's, is such. */
function truncateAll(channel: string, kind: RegExp, bytes = 0): number {
  const prefix = `webproxy.${channel}.`;
  const files = readdirSync("/dev/shm").filter(
    (file) => file.startsWith(prefix) && kind.test(file.slice(prefix.length)),
  );
  for (const file of files) truncateSync(`/dev/shm/${file}`, bytes);
  return files.length;
}

for (const { what, kind } of [
  { what: "all segments", kind: /^pool\.seg\./ },
  { what: "the pool's table", kind: /^pool\.pool$/ },
  { what: "the proxy's control block", kind: /^proxy$/ },
  { what: "the cache's control block", kind: /^cache$/ },
  { what: "every body on loan", kind: /^body\./ },
  { what: "the ring of requests", kind: /^access$/ },
]) {
  test(`56 ${what} cut to nothing`, async () => {
    await using origin = CountingOrigin.start({ "/": { body: BODY, headers: { "Cache-Control": "max-age=600" } } });
    // With an access log the supervisor follows what the proxy's threads write.
    await using webproxy = await Webproxy.start({
      origin: origin.url,
      args: ["--segments", "16", "--segment-size", "16KiB", "--hot", "0", "--access-log", "/dev/null"],
    });
    for (let times = 0; times < 2; times++) expect((await http(webproxy.http, "/")).sha256).toBe(SUM);
    expect(truncateAll(webproxy.channel, kind)).toBeGreaterThan(0);
    await eventually(60_000, "both ways serve again", async () => {
      const both = await Promise.allSettled([getfile(webproxy.getfile, "/"), http(webproxy.http, "/")]);
      const wrong = both.filter(
        (one) => one.status === "fulfilled" && one.value.isComplete && one.value.sha256 !== SUM,
      );
      for (const one of wrong)
        expect((one as PromiseFulfilledResult<{ status: string }>).value.status).toMatch(/^(5..|ERROR)$/);
      return both.every((one) => one.status === "fulfilled" && one.value.isComplete && one.value.sha256 === SUM);
    });
    expect((await webproxy.stop()).exitCode).toBe(0);
  }, 120_000);
}

for (const length of [100_000, 1_000_000]) {
  test(`56 a body of ${length} bytes on loan that proxies keep ready is cut short: it is asked for again`, async () => {
    const body = someBytes(length, length);
    await using origin = CountingOrigin.start({ "/": { body, headers: { "Cache-Control": "max-age=600" } } });
    await using webproxy = await Webproxy.start({ origin: origin.url });
    const ask = () => Promise.all([getfile(webproxy.getfile, "/"), http(webproxy.http, "/")]);
    for (let times = 0; times < 4; times++) for (const { sha256: sum } of await ask()) expect(sum).toBe(sha256(body));
    expect((await webproxy.stats()).proxy!.counters.hotHits).toBeGreaterThan(0);
    expect(truncateAll(webproxy.channel, /^body\./, 4096)).toBeGreaterThan(0);
    await eventually(60_000, "both ways serve again, on each thread", async () => {
      for (let times = 0; times < 8; times++) {
        const both = await Promise.allSettled([getfile(webproxy.getfile, "/"), http(webproxy.http, "/")]);
        if (
          !both.every((one) => one.status === "fulfilled" && one.value.isComplete && one.value.sha256 === sha256(body))
        )
          return false;
      }
      return true;
    });
    expect((await webproxy.stop()).exitCode).toBe(0);
  }, 120_000);
}

/** The supervisor looks for rings each 0.5 s: some eight of these times it follows them, and reads all the time while they are whole. */
const CUTTING_MS = 4_000;

test("56 the ring of requests cut and made whole at any moment, hundreds of times: the supervisor lives", async () => {
  await using origin = CountingOrigin.start({ "/": { body: BODY, headers: { "Cache-Control": "max-age=600" } } });
  await using webproxy = await Webproxy.start({ origin: origin.url, args: ["--access-log", "/dev/null"] });
  for (let times = 0; times < 20; times++) expect((await http(webproxy.http, "/")).sha256).toBe(SUM);
  const path = `/dev/shm/webproxy.${webproxy.channel}.access`;
  const rings = readFileSync(path);
  const fildes = openSync(path, "r+");
  try {
    const endMs = performance.now() + CUTTING_MS;
    for (let cuts = 0; performance.now() < endMs || cuts < 300; cuts++) {
      ftruncateSync(fildes, 0);
      writeSync(fildes, rings, 0, rings.length, 0);
      if (cuts % 2 === 0) await Bun.sleep(Math.random() * 20);
    }
  } finally {
    closeSync(fildes);
  }
  await eventually(30_000, "it is served", async () => (await http(webproxy.http, "/")).sha256 === SUM);
  expect((await webproxy.stop()).exitCode).toBe(0);
}, 120_000);
