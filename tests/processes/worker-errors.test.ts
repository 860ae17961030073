/**
 * CHECKLIST 49: one thread of either process ends by an error of ours that nobody catches, in the middle of a request. The supervisor replaces its process and says why; whoever had nothing to do
 * with it is served before, meanwhile and after.
 */
import { expect, test } from "bun:test";
import { sha256, someBytes } from "../support/bytes.ts";
import type { ClientResult } from "../support/client-result.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { faultText, faultyThreads } from "../support/faulty-threads.ts";
import { getfile } from "../support/getfile-client.ts";
import { http } from "../support/http-client.ts";
import { TempDirectory } from "../support/temp-directory.ts";
import { faultCounts, NO_FAULTS, Webproxy } from "../support/webproxy.ts";

const BODY = someBytes(1_000_000, 49);
const WHOLE = { length: BODY.length, sha256: sha256(BODY), isComplete: true };
const FRESH = { "Cache-Control": "max-age=600" };
const CLIENTS = 16;

for (const side of ["proxy", "cache"] as const) {
  for (const { what, how } of [
    { what: "throws what nobody catches", how: "throws" },
    { what: "leaves a rejection unhandled", how: "rejects" },
  ]) {
    test(`49 a thread of the ${side} that ${what}: its process is replaced, the log says why, and all are served`, async () => {
      using faults = new TempDirectory();
      const { env, arm } = faultyThreads(faults);
      const path = `/${side}/${how}`;
      await using origin = CountingOrigin.start({
        "/file": { body: BODY, headers: FRESH },
        [path]: { body: BODY, headers: FRESH },
      });
      const args = ["--segments", "16", "--segment-size", "64KiB", "--hot", "0"];
      await using webproxy = await Webproxy.start({ origin: origin.url, args, env });
      await expectServed(webproxy, "/file");
      const before = await webproxy.stats();
      arm(path, "once");
      const ended = Promise.allSettled([...serveSome(webproxy, "/file"), http(webproxy.http, path)]);
      await webproxy.recovered(before[side]!.pid);

      // Who was being served by the process that died sees an end; nobody a wrong byte, nobody waits.
      expectHonest(await ended);
      await webproxy.says(faultText(path));
      await webproxy.says(`the ${side} process ended with exit code 1; starting it again at once`);
      await expectServed(webproxy, "/file");
      await expectServed(webproxy, path);
      await webproxy.segmentsReturned();
      const after = await webproxy.stats();
      expect(after.restarts).toEqual({ proxy: 0, cache: 0, [side]: 1 });
      expect(after.stalls).toEqual({ proxy: 0, cache: 0 });
      expect(faultCounts(after)).toEqual(NO_FAULTS);
      expect((await webproxy.stop()).exitCode).toBe(0);
    }, 120_000);
  }
}

test("49 a request that ends every cache which is asked for it is answered from the origin, and all others are served", async () => {
  using faults = new TempDirectory();
  const { env, arm } = faultyThreads(faults);
  const path = "/cache/throws";
  await using origin = CountingOrigin.start({
    "/file": { body: BODY, headers: FRESH },
    [path]: { body: BODY, headers: FRESH },
  });
  await using webproxy = await Webproxy.start({ origin: origin.url, args: ["--hot", "0"], env });
  arm(path, "always");
  for (const ask of [() => http(webproxy.http, path), () => getfile(webproxy.getfile, path)]) {
    const { cache } = await webproxy.stats();
    expect(await ask()).toMatchObject(WHOLE);
    await webproxy.recovered(cache!.pid);
    await expectServed(webproxy, "/file");
  }
  const { restarts } = await webproxy.stats();
  expect(restarts.proxy).toBe(0);
  expect(restarts.cache).toBeGreaterThanOrEqual(2);
  expect((await webproxy.stop()).exitCode).toBe(0);
}, 120_000);

function serveSome(webproxy: Webproxy, path: string): Promise<ClientResult>[] {
  return Array.from({ length: CLIENTS }, (_, client) =>
    client % 2 === 0 ? getfile(webproxy.getfile, path) : http(webproxy.http, path),
  );
}

async function expectServed(webproxy: Webproxy, path: string): Promise<void> {
  for (const result of await Promise.all(serveSome(webproxy, path))) expect(result).toMatchObject(WHOLE);
}

function expectHonest(ended: readonly PromiseSettledResult<ClientResult>[]): void {
  for (const one of ended) {
    if (one.status === "fulfilled" && one.value.isComplete && /^(OK|200)$/.test(one.value.status ?? ""))
      expect(one.value).toMatchObject(WHOLE);
  }
}
