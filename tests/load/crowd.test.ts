/**
 * CHECKLIST 23, 47, 48 (47 at the size that a test run bears, and at its own with WEBPROXY_TESTS=whole): very many connections that say nothing, or half of a request,
 * or go again at once, while others are served. How fast is measured by `bun run load`.
 */
import { expect, test } from "bun:test";
import { sha256, someBytes } from "../support/bytes.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile } from "../support/getfile-client.ts";
import { http } from "../support/http-client.ts";
import { processUsage } from "../support/process-usage.ts";
import { IS_WHOLE } from "../support/scale.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";
import { connectAndClose, crowd } from "./crowd.ts";

const IDLE = 10_000;
const COMING_AND_GOING = IS_WHOLE ? 1_000_000 : 20_000;
const BODY = someBytes(1_024, 23);
const SUM = sha256(BODY);

function withFile(): CountingOrigin {
  return CountingOrigin.start({ "/": { body: BODY, headers: { "Cache-Control": "max-age=600" } } });
}

async function expectServed(webproxy: Webproxy): Promise<void> {
  for (let times = 0; times < 10; times++) {
    const both = await Promise.all([getfile(webproxy.getfile, "/"), http(webproxy.http, "/")]);
    for (const { isComplete, sha256 } of both)
      expect({ isComplete, sha256 }).toEqual({ isComplete: true, sha256: SUM });
  }
}

async function proxyOf(webproxy: Webproxy) {
  return (await webproxy.stats()).proxy!;
}

for (const { what, greeting } of [
  { what: "idle", greeting: "" },
  { what: "with half a head", greeting: "GET / HTTP/1.1\r\nHo" },
]) {
  test(`23 ${IDLE} connections, ${what}: others are served, each costs little, and all is let go of`, async () => {
    await using origin = withFile();
    await using webproxy = await Webproxy.start({ origin: origin.url, args: ["--head-timeout", "300"] });
    await expectServed(webproxy);
    const { pid } = await proxyOf(webproxy);
    const before = processUsage(pid);
    {
      using idle = await crowd(webproxy.http, IDLE, greeting);
      await eventually(
        30_000,
        "all are accepted",
        async () => (await proxyOf(webproxy)).counters.connectionsOpen >= IDLE,
      );
      await expectServed(webproxy);
      expect(idle.open()).toBe(IDLE);
      expect((processUsage(pid).residentBytes - before.residentBytes) / IDLE).toBeLessThan(32 * 1024);
    }
    await eventually(30_000, "all are gone", async () => (await proxyOf(webproxy)).counters.connectionsOpen < 10);
    expect(processUsage(pid).descriptors).toBeLessThan(before.descriptors + 20);
    expect((await webproxy.stats()).restarts).toEqual({ proxy: 0, cache: 0 });
  }, 120_000);
}

test(
  `47 ${COMING_AND_GOING} connections that are closed at once, on both ports: others are served, nothing grows`,
  async () => {
    await using origin = withFile();
    await using webproxy = await Webproxy.start({ origin: origin.url });
    await expectServed(webproxy);
    await connectAndClose(webproxy.http, 2_000);
    const { pid } = await proxyOf(webproxy);
    const before = processUsage(pid);
    const coming = Promise.all([
      connectAndClose(webproxy.http, COMING_AND_GOING / 2),
      connectAndClose(webproxy.getfile, COMING_AND_GOING / 2),
    ]);
    await expectServed(webproxy);
    expect(await coming).toEqual([0, 0]);
    await expectServed(webproxy);
    await eventually(30_000, "all are gone", async () => (await proxyOf(webproxy)).counters.connectionsOpen < 10);
    const after = processUsage(pid);
    expect(after.descriptors).toBeLessThan(before.descriptors + 20);
    expect(after.residentBytes - before.residentBytes).toBeLessThan(64 * 1024 * 1024);
    expect((await webproxy.stats()).restarts).toEqual({ proxy: 0, cache: 0 });
  },
  IS_WHOLE ? 1_800_000 : 180_000,
);
