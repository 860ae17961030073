/** CHECKLIST 46 to 48: clients that leave, that come for nothing, that say nothing. Nobody else notices, and no segment is lost. */
import { describe, expect, test } from "bun:test";
import type { Socket } from "bun";
import type { Address } from "../support/address.ts";
import { sha256, someBytes } from "../support/bytes.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile } from "../support/getfile-client.ts";
import { http } from "../support/http-client.ts";
import { TIERS } from "../support/tiers.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually, within } from "../support/within.ts";

const BODY = someBytes(16 * 1024 * 1024, 46);
const SMALL = someBytes(2_000, 47);
const FRESH = { "Cache-Control": "max-age=600" };
const COUNT = 3000;
/** Connections opened at once: below the listeners' backlog. */
const AT_ONCE = 100;

const smallOk = { bytes: SMALL.length, sha256: sha256(SMALL), isComplete: true };

async function start(origin: CountingOrigin, tierArgs: readonly string[] = []): Promise<Webproxy> {
  const args = ["--segments", "16", "--segment-size", "64KiB", ...tierArgs];
  return await Webproxy.start({ origin: origin.url, args });
}

function withFiles(): CountingOrigin {
  return CountingOrigin.start({ "/large": { body: BODY, headers: FRESH }, "/small": { body: SMALL, headers: FRESH } });
}

for (const { name, args } of TIERS)
  describe(`46 clients that leave in the middle of a transfer, ${name}`, () => {
    test("46 their segments are back within a second, every time, and others get every byte", async () => {
      await using origin = withFiles();
      await using webproxy = await start(origin, args);
      const leave = [1, 50_000, 1_000_000, 9_000_000];
      const tookMs: number[] = [];
      for (let round = 0; round < 7; round++) {
        const left = await Promise.all(
          leave.flatMap((leaveAfterBytes) => [
            getfile(webproxy.getfile, "/large", { leaveAfterBytes }),
            http(webproxy.http, "/large", { leaveAfterBytes }),
          ]),
        );
        for (const got of left) expect(got.isComplete).toBe(false);
        tookMs.push(await webproxy.segmentsReturned());
      }
      // The middle one: a machine that was busy elsewhere for a second proves nothing.
      expect(tookMs.sort((one, other) => one - other)[3]).toBeLessThan(1000);
      expect(await getfile(webproxy.getfile, "/large")).toMatchObject({ sha256: sha256(BODY), isComplete: true });
    }, 120_000);

    test("46 one that reads nothing, and then leaves, holds no more than its share meanwhile", async () => {
      await using origin = withFiles();
      await using webproxy = await start(origin, args);
      const leaving = Promise.withResolvers<void>();
      const stuck = Array.from({ length: 40 }, () =>
        getfile(webproxy.getfile, "/large", {
          pauseAfterBytes: { bytes: 1, until: leaving.promise },
          leaveAfterBytes: 1_000_000,
        }),
      );
      try {
        // 40 readers that stand still, 16 segments: everybody else is served.
        await Bun.sleep(300);
        for (let round = 0; round < 20; round++) {
          expect(await getfile(webproxy.getfile, "/small")).toMatchObject(smallOk);
          expect(await http(webproxy.http, "/small")).toMatchObject(smallOk);
        }
      } finally {
        leaving.resolve();
      }
      await Promise.all(stuck);
      await webproxy.segmentsReturned();
    }, 120_000);

    test("46 one that leaves while the origin thinks does not disturb who waits with it", async () => {
      const thinking = Promise.withResolvers<void>();
      await using origin = CountingOrigin.start({ "/slow": { body: SMALL, headers: FRESH, until: thinking.promise } });
      await using webproxy = await start(origin, args);
      const staying = [getfile(webproxy.getfile, "/slow"), http(webproxy.http, "/slow")];
      const socket = await rawConnect(webproxy.getfile, "GETFILE GET /slow\r\n\r\n");
      await eventually(20_000, "the origin has the request", () => origin.count("/slow") === 1);
      socket.terminate();
      await webproxy.segmentsReturned();
      thinking.resolve();
      for (const got of await Promise.all(staying)) expect(got).toMatchObject(smallOk);
      expect(origin.count("/slow")).toBe(1);
    }, 90_000);
  });

describe("47 and 48 connections without requests", () => {
  test(`47 ${COUNT} clients that connect and close`, async () => {
    await using origin = withFiles();
    await using webproxy = await start(origin);
    for (let done = 0; done < COUNT; done += AT_ONCE) {
      const address = done % (2 * AT_ONCE) === 0 ? webproxy.getfile : webproxy.http;
      const sockets = await Promise.all(Array.from({ length: AT_ONCE }, () => rawConnect(address)));
      for (const [index, socket] of sockets.entries()) {
        if (index % 2 === 0) socket.terminate();
        else socket.end();
      }
    }
    expect(await getfile(webproxy.getfile, "/small")).toMatchObject(smallOk);
    await eventually(10_000, "no connection is open", async () => {
      const { proxy } = await webproxy.stats();
      return proxy?.counters.connectionsOpen === 0 && proxy.counters.connectionsAccepted >= COUNT;
    });
    await webproxy.segmentsReturned();
    expect((await webproxy.stats()).restarts).toEqual({ proxy: 0, cache: 0 });
  }, 120_000);

  test(`48 ${COUNT} silent clients: hits go on`, async () => {
    await using origin = withFiles();
    await using webproxy = await start(origin);
    const silent: Socket[] = [];
    try {
      for (let done = 0; done < COUNT; done += AT_ONCE) {
        const address = done % (2 * AT_ONCE) === 0 ? webproxy.getfile : webproxy.http;
        const begin = address === webproxy.getfile ? "GETFILE GE" : "GET /sma";
        silent.push(...(await Promise.all(Array.from({ length: AT_ONCE }, () => rawConnect(address, begin)))));
      }
      for (let round = 0; round < 50; round++) {
        const both = await Promise.all([getfile(webproxy.getfile, "/small"), http(webproxy.http, "/small")]);
        for (const got of both) expect(got).toMatchObject(smallOk);
      }
      await webproxy.segmentsReturned();
      expect(origin.count("/small")).toBe(1);
    } finally {
      for (const socket of silent) socket.terminate();
    }
  }, 120_000);
});

/** A connection that sends `bytes`, if any, and then does nothing. */
function rawConnect({ host, port }: Address, bytes?: string): Promise<Socket> {
  const connected = Bun.connect({
    hostname: host,
    port,
    socket: {
      open(socket) {
        if (bytes !== undefined) socket.write(bytes);
      },
      data() {},
    },
  });
  return within(10_000, `a connection to port ${port}`, connected);
}
