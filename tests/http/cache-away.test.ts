/** DESIGN.md: while the cache is away the proxy answers from the origin. And the limits of the client side, which are options of `startProxy`. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { type ClientLimits, type RunningProxy, startProxy, type TlsPair } from "@proj/proxy";
import { sha256, someBytes } from "../support/bytes.ts";
import { makeCertificate } from "../support/certificate.ts";
import type { ClientBehaviour } from "../support/client-result.ts";
import { CountingOrigin, type Resource } from "../support/counting-origin.ts";
import { getfile } from "../support/getfile-client.ts";
import { field, http } from "../support/http-client.ts";
import { ipcObjectsOf } from "../support/left-overs.ts";
import { TempDirectory } from "../support/temp-directory.ts";
import { ownChannel, Webproxy } from "../support/webproxy.ts";
import { RawOrigin, Wire } from "./wire.ts";

/** A proxy in this process, without any cache. */
async function withProxy(
  origin: string,
  options: { limits?: Partial<ClientLimits>; trustProxy?: string[]; tls?: { port: number; pairs: TlsPair[] } },
  run: (proxy: RunningProxy, connect: (scheme?: "http" | "https") => Promise<Wire>) => Promise<void>,
): Promise<void> {
  const channel = ownChannel();
  const proxy = await startProxy({
    channel,
    threads: 1,
    segments: 4,
    segmentBytes: 65_536,
    host: "127.0.0.1",
    httpPort: 0,
    getfilePort: 0,
    getfileWire: "crlf",
    hotBytes: 0,
    origin: new URL(origin),
    log: () => {},
    ...options,
  });
  try {
    const portOf = { http: proxy.httpPort, https: proxy.httpsPort! };
    await run(proxy, (scheme = "http") => Wire.connect({ host: "127.0.0.1", port: portOf[scheme] }, scheme));
  } finally {
    await proxy.close({ graceMs: 100 });
  }
  expect(ipcObjectsOf(channel)).toEqual([]);
}

describe("without a cache", () => {
  test("GET and HEAD are answered by the origin, conditions and ranges included; nobody waits a second time", async () => {
    await using origin = CountingOrigin.start({
      "/a": { body: Buffer.from("hello"), headers: { ETag: '"e"', "Cache-Control": "max-age=60" } },
    });
    await using webproxy = await Webproxy.start({ origin: origin.url, command: "proxy" });
    const whole = await http(webproxy.http, "/a");
    expect(whole).toMatchObject({ status: "200", bytes: 5, isComplete: true });
    expect(field(whole.head, "cache-status")).toBe("webproxy; fwd=bypass");
    expect(await http(webproxy.http, "/a", { headers: { "If-None-Match": '"e"' } })).toMatchObject({ status: "304" });
    expect(await http(webproxy.http, "/a", { method: "HEAD" })).toMatchObject({ status: "200", bytes: 0 });
    expect(origin.count("/a")).toBe(3);
    expect(origin.requests[0]!.head).toMatch(/^X-Forwarded-For: 127\.0\.0\.1\r$/m);
    expect(origin.requests[1]!.head).toMatch(/^If-None-Match: "e"\r$/m);
  }, 30_000);
});

describe("GETFILE without a cache", () => {
  const TOO_LARGE = Buffer.alloc(17 * 1024 * 1024, 0x61);
  const LARGE = someBytes(5 * 1024 * 1024, 7);
  const files = {
    "/known": { body: LARGE },
    "/empty": { body: Buffer.alloc(0) },
    "/chunked": { body: LARGE, framing: "chunked" },
    "/until-close": { body: Buffer.from("the end is the end"), framing: "close" },
    "/too-long": { body: TOO_LARGE, framing: "chunked" },
    "/gone": { status: 410 },
    "/moved": { status: 302, headers: { Location: "/known" } },
    "/broken": { body: LARGE, dieAfterBytes: 1_000_000 },
    "/broken-chunked": { body: LARGE, framing: "chunked", dieAfterBytes: 1_000_000 },
    "/dead": { dieAfterBytes: -1 },
  } satisfies Record<string, Resource>;

  test("files come from the origin; a body of unknown length is held back until it is whole, within a limit", async () => {
    await using origin = CountingOrigin.start(files);
    await withProxy(origin.url, {}, async (proxy) => {
      const ask = (path: string, behaviour?: ClientBehaviour) =>
        getfile({ host: "127.0.0.1", port: proxy.getfilePort }, path, behaviour);
      const whole = { status: "OK", isComplete: true };
      expect(await ask("/known")).toMatchObject({ ...whole, length: LARGE.length, sha256: sha256(LARGE) });
      expect(await ask("/empty")).toMatchObject({ ...whole, length: 0 });
      const { body } = files["/chunked"];
      expect(await ask("/chunked")).toMatchObject({ ...whole, length: body.length, sha256: sha256(body) });
      expect(await ask("/until-close")).toMatchObject({ ...whole, length: 18 });
      for (const path of ["/too-long", "/moved", "/broken-chunked", "/dead"])
        expect({ path, ...(await ask(path)) }).toMatchObject({ path, status: "ERROR", bytes: 0 });
      for (const path of ["/gone", "/none"]) expect(await ask(path)).toMatchObject({ status: "FILE_NOT_FOUND" });
      // A length was said and is not kept: never a short OK.
      expect(await ask("/broken")).toMatchObject({ status: "OK", length: LARGE.length, isComplete: false });
      const { head } = origin.requests[0]!;
      expect(head).toMatch(/^Accept-Encoding: identity\r$/im);
      expect(head).toMatch(/^Forwarded: for=127\.0\.0\.1\r$/im);
      expect(head).toMatch(/^Via: 1\.1 webproxy\r$/im);
    });
  }, 120_000);

  test("a slow reader gets all of it, one that leaves takes its exchange along, and the room for what is held back is given back", async () => {
    await using origin = CountingOrigin.start(files);
    await withProxy(origin.url, {}, async (proxy) => {
      const ask = (path: string, behaviour?: ClientBehaviour) =>
        getfile({ host: "127.0.0.1", port: proxy.getfilePort }, path, behaviour);
      const { body } = files["/chunked"];
      for (const path of ["/known", "/chunked"] as const) {
        const slow = await ask(path, { pauseAfterBytes: { bytes: 100_000, until: Bun.sleep(500) } });
        expect(slow).toMatchObject({ isComplete: true, sha256: sha256(files[path].body) });
        await ask(path, { leaveAfterBytes: 100_000 });
      }
      // 64 MiB of a thread's room: had these kept theirs, nothing would be left.
      for (let round = 0; round < 5; round++) expect(await ask("/too-long")).toMatchObject({ status: "ERROR" });
      expect(await ask("/chunked")).toMatchObject({ isComplete: true, sha256: sha256(body) });
    });
  }, 120_000);

  test("a path that no segment takes goes to the origin", async () => {
    const path = `/${"p".repeat(6000)}`;
    await using origin = CountingOrigin.start({ [path]: { body: Buffer.from("found") } });
    await using webproxy = await Webproxy.start({ origin: origin.url, args: ["--segment-size", "4KiB"] });
    expect(await getfile(webproxy.getfile, path)).toMatchObject({ status: "OK", bytes: 5, isComplete: true });
    expect(await http(webproxy.http, path)).toMatchObject({ status: "200", bytes: 5, isComplete: true });
  }, 120_000);
});

test("an unsafe request waits for the cache that has to hear of it, but not each of them anew", async () => {
  await using origin = CountingOrigin.start({ "/a": { body: Buffer.from("done") } });
  await withProxy(origin.url, {}, async (proxy) => {
    const address = { host: "127.0.0.1", port: proxy.httpPort };
    await http(address, "/a", { method: "DELETE" }); // the cache has been away long enough after it
    // Waits of 5 s each would be more than this test has.
    for (let index = 0; index < 20; index++)
      expect(await http(address, "/a", { method: "DELETE" })).toMatchObject({ status: "200", bytes: 4 });
  });
}, 60_000);

describe("limits of the client side", () => {
  let files: TempDirectory;
  let tls: { port: number; pairs: TlsPair[] };
  beforeAll(() => {
    files = new TempDirectory();
    const { cert, key } = makeCertificate(files, "one.test");
    tls = { port: 0, pairs: [{ cert: readFileSync(cert, "latin1"), key: readFileSync(key, "latin1") }] };
  });
  afterAll(() => files[Symbol.dispose]());

  test("a head that is not whole in time is a 408; an idle connection is closed without a word; over TLS too", async () => {
    await using origin = CountingOrigin.start({ "/a": { body: Buffer.from("hello") } });
    const limits = { headTimeoutMs: 1000, idleTimeoutMs: 1000 };
    await withProxy(origin.url, { limits, tls }, async (_, connect) => {
      const times = async (scheme: "http" | "https") => {
        using idle = await connect(scheme);
        using slow = await connect(scheme);
        await slow.send("GET / HTTP/1.1\r\nHos");
        // An octet now and then buys no time.
        using dripping = await connect(scheme);
        await dripping.send("GET / HTTP/1.1\r\nX: ");
        const drip = setInterval(() => void dripping.send("x"), 100);
        using between = await connect(scheme);
        await between.send("OPTIONS /a HTTP/1.1\r\nHost: a\r\n\r\n");
        expect(await between.through("hello")).toStartWith("HTTP/1.1 200 ");
        try {
          expect(await slow.rest()).toStartWith("HTTP/1.1 408 ");
          expect(await dripping.rest()).toStartWith("HTTP/1.1 408 ");
        } finally {
          clearInterval(drip);
        }
        expect([await idle.rest(), await between.rest()]).toEqual(["", ""]);
      };
      await Promise.all([times("http"), times("https")]);
    });
  }, 40_000);

  test("content that comes too slowly is a 408, and its origin is given up; over TLS too", async () => {
    using origin = new RawOrigin(async () => {});
    await withProxy(origin.url, { limits: { contentRateMin: 10 }, tls }, async (_, connect) => {
      const drips = async (scheme: "http" | "https") => {
        using slow = await connect(scheme);
        await slow.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
        const drip = setInterval(() => void slow.send("x"), 500);
        try {
          for (let waited = 0; slow.received === "" && waited < 30_000; waited += 100) await Bun.sleep(100);
          expect(await slow.head()).toStartWith("HTTP/1.1 408 ");
        } finally {
          clearInterval(drip);
        }
      };
      await Promise.all([drips("http"), drips("https")]);
      expect(origin.wires).toHaveLength(2);
      for (const wire of origin.wires) await wire.closed();
    });
  }, 60_000);

  test("one connection more than may be is told so, and there is room again when others have left", async () => {
    using origin = new RawOrigin(async () => {});
    await withProxy(origin.url, { limits: { connections: 2 } }, async (_, connect) => {
      const held = [await connect(), await connect()];
      for (const wire of held) {
        await wire.send("OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n");
        expect(await wire.head()).toStartWith("HTTP/1.1 200 ");
      }
      using third = await connect();
      const said = await third.rest();
      expect(said).toStartWith("HTTP/1.1 503 ");
      expect(field(said, "connection")).toBe("close");
      for (const wire of held) wire.close();
      for (let status = "503"; status !== "200"; ) {
        using again = await connect();
        await again.send("OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n");
        status = (await again.head()).slice(9, 12);
      }
    });
  }, 30_000);

  test("24 heads beyond the limits are refused as such", async () => {
    using origin = new RawOrigin(async () => {});
    const head = { headBytes: 2000, fields: 10, targetBytes: 100, methodBytes: 8, reasonBytes: 10 };
    await withProxy(origin.url, { limits: { head } }, async (_, connect) => {
      for (const [request, status] of [
        [`GET /${"a".repeat(100)} HTTP/1.1\r\nHost: a\r\n\r\n`, "414"],
        [`GET / HTTP/1.1\r\nHost: a\r\n${"A: b\r\n".repeat(10)}\r\n`, "431"],
        [`GET / HTTP/1.1\r\nHost: a\r\nA: ${"b".repeat(2000)}`, "431"],
        ["LONGMETHOD / HTTP/1.1\r\nHost: a\r\n\r\n", "501"],
      ] as const) {
        using client = await connect();
        await client.send(request);
        expect(await client.rest()).toStartWith(`HTTP/1.1 ${status} `);
      }
    });
  }, 30_000);
});

test("--trust-proxy: who is named may speak for others, nobody else may", async () => {
  const FORGED = "OPTIONS / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\n\r\n";
  for (const [trustProxy, address] of [
    [["127.0.0.0/8"], "1.1.1.1, 127.0.0.1"],
    [["10.0.0.0/8", "::1"], "127.0.0.1"],
    [[], "127.0.0.1"],
  ] as const) {
    using origin = new RawOrigin(async (wire) => {
      const head = await wire.head();
      expect(field(head, "x-forwarded-for")).toBe(address);
      expect(field(head, "x-forwarded-proto")).toBe(address.startsWith("1.") ? "https" : "http");
      await wire.send("HTTP/1.1 204 No\r\n\r\n");
    });
    await withProxy(origin.url, { trustProxy: [...trustProxy] }, async (_, connect) => {
      using client = await connect();
      await client.send(FORGED);
      expect(await client.head()).toStartWith("HTTP/1.1 204 ");
    });
    origin.check();
  }
  await expect(withProxy("http://127.0.0.1:1", { trustProxy: ["everybody"] }, async () => {})).rejects.toThrow(
    "Cannot trust the proxy",
  );
}, 30_000);
