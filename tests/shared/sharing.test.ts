/** What one node has stored the others serve without the origin: every length, ranges, variants, validation, one origin request for all of them. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { DecidingOrigin } from "../caching/origin.ts";
import { get } from "../caching/support.ts";
import { sha256, someBytes } from "../support/bytes.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { http } from "../support/http-client.ts";
import { RedisServer } from "../support/redis.ts";
import { eventually } from "../support/within.ts";
import { counter, Nodes, startNode, written } from "./nodes.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const CHUNK = 512 * KIB;
const LENGTHS = [0, 1, 1000, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * MIB + 7, 17 * MIB, 64 * MIB];

setDefaultTimeout(120_000);

describe("a shared tier", () => {
  test("bodies from 0 B to 64 MiB: what A stored B serves, byte for byte, without the origin", async () => {
    await using redis = await RedisServer.start();
    await using origin = CountingOrigin.start();
    const bodies = LENGTHS.map((length, index) => someBytes(length, index + 1));
    for (const [index, body] of bodies.entries())
      origin.set(`/${index}`, { body, headers: { "Cache-Control": "max-age=600" } });
    await using nodes = await Nodes.start(2, redis.url, { origin: origin.url });
    const [a, b] = nodes.all as [Nodes["all"][number], Nodes["all"][number]];
    for (const [index, body] of bodies.entries()) {
      const got = await http(a.http, `/${index}`);
      expect([got.isComplete, got.bytes, got.sha256]).toEqual([true, body.length, sha256(body)]);
    }
    await written(a, bodies.length);
    for (let round = 0; round < 2; round++) {
      for (const [index, body] of bodies.entries()) {
        const got = await http(b.http, `/${index}`);
        expect([got.isComplete, got.bytes, got.sha256]).toEqual([true, body.length, sha256(body)]);
        expect(got.head).toMatch(/^cache-status: webproxy; hit/im);
      }
    }
    expect(origin.requests.length).toBe(bodies.length);
    expect(await counter(b, "sharedHits")).toBe(bodies.length);
    // GETFILE and HTTP share what is stored.
    expect(await counter(b, "originRequests")).toBe(0);
  });

  test("a range reads only its chunks, and is joined by others", async () => {
    await using redis = await RedisServer.start();
    await using origin = CountingOrigin.start();
    const body = someBytes(20 * MIB, 7);
    origin.set("/long", { body, headers: { "Cache-Control": "max-age=600", ETag: '"long"' } });
    await using nodes = await Nodes.start(2, redis.url, { origin: origin.url });
    const [a, b] = nodes.all as [Nodes["all"][number], Nodes["all"][number]];
    expect((await http(a.http, "/long")).sha256).toBe(sha256(body));
    await written(a, 1);
    const range = async (start: number, end: number) => {
      const got = await http(b.http, "/long", { headers: { Range: `bytes=${start}-${end - 1}` } });
      expect([got.status, got.sha256]).toEqual(["206", sha256(body.subarray(start, end))]);
      expect(got.head).toContain(`bytes ${start}-${end - 1}/${body.length}`);
    };
    await range(3 * CHUNK + 100, 3 * CHUNK + 200);
    expect(await counter(b, "sharedReadBytes")).toBe(CHUNK);
    await range(5 * CHUNK - 1, 6 * CHUNK + 1);
    expect(await counter(b, "sharedReadBytes")).toBe(4 * CHUNK);
    await range(body.length - 10, body.length);
    expect(origin.requests.length).toBe(1);
    expect((await http(b.http, "/long")).sha256).toBe(sha256(body));
  });

  test("ranges of a body that no node has whole: no node waits for another's", async () => {
    await using redis = await RedisServer.start();
    const body = someBytes(MIB, 9);
    const gate = Promise.withResolvers<void>();
    await using origin = await DecidingOrigin.start(({ headers }) => {
      const [, from = "0", to = "0"] = /(\d+)-(\d+)/.exec(headers.range ?? "") ?? [];
      const part = body.subarray(Number(from), Number(to) + 1);
      const range = `bytes ${from}-${to}/${body.length}`;
      const fields = { "Cache-Control": "max-age=600", ETag: '"a"', "Content-Range": range };
      // The first one's head comes, and its body is long in coming.
      return {
        status: 206,
        headers: fields,
        body: part,
        ...(from === "0" && { pause: { afterBytes: 1, until: gate.promise } }),
      };
    });
    await using nodes = await Nodes.start(2, redis.url, { origin: origin.url });
    const [a, b] = nodes.all as [Nodes["all"][number], Nodes["all"][number]];
    const slow = http(a.http, "/part", { headers: { Range: "bytes=0-999" } });
    await eventually(30_000, "A has asked", () => origin.count("/part") === 1);
    // Were it waited for, this would take until the gate opens, or ten seconds.
    for (const start of [1000, 5000]) {
      const got = await http(b.http, "/part", { headers: { Range: `bytes=${start}-${start + 99}` } });
      expect([got.status, got.sha256]).toEqual(["206", sha256(body.subarray(start, start + 100))]);
    }
    expect(await counter(b, "sharedWaits")).toBeLessThanOrEqual(1); // until A had the head
    gate.resolve();
    expect((await slow).sha256).toBe(sha256(body.subarray(0, 1000)));
  });

  test("a thousand clients over three nodes at a cold key are one origin request", async () => {
    await using redis = await RedisServer.start();
    const gate = Promise.withResolvers<void>();
    const body = "b".repeat(100_000);
    await using origin = await DecidingOrigin.start(() => ({
      headers: { "Cache-Control": "max-age=600" },
      body,
      until: gate.promise,
    }));
    await using nodes = await Nodes.start(3, redis.url, { origin: origin.url });
    const clients = Array.from({ length: 1000 }, (_, index) =>
      get(nodes.all[index % 3]!.http, "/cold", { timeoutMs: 90_000 }),
    );
    await eventually(30_000, "two nodes wait for the third", async () => {
      const waits = await Promise.all(nodes.all.map((node) => counter(node, "sharedWaits")));
      return origin.count("/cold") === 1 && waits.filter((count) => count > 0).length === 2;
    });
    gate.resolve();
    for (const got of await Promise.all(clients)) {
      expect([got.status, got.isComplete, got.body === body]).toEqual(["200", true, true]);
    }
    expect(origin.count("/cold")).toBe(1);
  });

  test("what can not be shared is waited for by nobody for long; variants are found", async () => {
    await using redis = await RedisServer.start();
    await using origin = await DecidingOrigin.start(({ target, headers }) => {
      if (target === "/private") return { headers: { "Cache-Control": "private" }, body: "mine" };
      const language = headers["accept-language"] ?? "";
      return { headers: { "Cache-Control": "max-age=600", Vary: "Accept-Language" }, body: `in ${language}` };
    });
    await using nodes = await Nodes.start(2, redis.url, { origin: origin.url });
    const [a, b] = nodes.all as [Nodes["all"][number], Nodes["all"][number]];
    for (const node of [a, b, a, b]) expect((await get(node.http, "/private")).body).toBe("mine");
    for (const language of ["de", "fr"])
      expect((await get(a.http, "/v", { headers: { "Accept-Language": language } })).body).toBe(`in ${language}`);
    await written(a, 2);
    for (const language of ["fr", "de", "it"])
      expect((await get(b.http, "/v", { headers: { "Accept-Language": language } })).body).toBe(`in ${language}`);
    expect(origin.count("/v")).toBe(3);
  });

  test("what is stale is validated once for all nodes; what is shared says its true age", async () => {
    await using redis = await RedisServer.start();
    let validations = 0;
    await using origin = await DecidingOrigin.start(({ headers }) => {
      const fields = { "Cache-Control": "max-age=2", ETag: '"one"' };
      if (headers["if-none-match"] !== '"one"') return { headers: { ...fields, Age: "0" }, body: "the body" };
      validations++;
      return { status: 304, headers: { ...fields, "Cache-Control": "max-age=600" } };
    });
    await using nodes = await Nodes.start(3, redis.url, { origin: origin.url });
    const [a, b, c] = nodes.all as [Nodes["all"][number], Nodes["all"][number], Nodes["all"][number]];
    await get(a.http, "/x");
    await written(a, 1);
    await get(b.http, "/x");
    await Bun.sleep(2_500);
    expect((await get(a.http, "/x")).body).toBe("the body");
    await eventually(10_000, "the renewal is shared", async () => {
      const got = await get(b.http, "/x");
      expect(got.body).toBe("the body");
      return got.cache?.startsWith("hit") === true;
    });
    const got = await get(c.http, "/x");
    expect([got.body, got.cache?.startsWith("hit")]).toEqual(["the body", true]);
    expect(got.age).toBeLessThan(60);
    expect(origin.count("/x") - validations).toBe(1);
    expect(validations).toBeLessThanOrEqual(2);
  });

  test("a body that somebody has changed, and one that is gone, are misses; of another deployment nothing is seen", async () => {
    await using redis = await RedisServer.start();
    await using origin = CountingOrigin.start();
    const body = someBytes(3 * CHUNK, 3);
    for (const path of ["/chunk", "/later", "/meta", "/gone", "/list"])
      origin.set(path, { body, headers: { "Cache-Control": "max-age=600" } });
    await using a = await startNode(redis.url, { origin: origin.url });
    const keysOf = async (path: string) => {
      const before = new Set((await redis.cli("keys", "*")).split("\n"));
      const count = await counter(a, "sharedWrites");
      await http(a.http, path);
      await written(a, count + 1);
      return (await redis.cli("keys", "*")).split("\n").filter((key) => !before.has(key));
    };
    const chunk = (await keysOf("/chunk")).find((key) => key.endsWith(":0"))!;
    const later = (await keysOf("/later")).find((key) => key.endsWith(":2"))!;
    const meta = (await keysOf("/meta")).find((key) => key.endsWith(":m"))!;
    const gone = (await keysOf("/gone")).find((key) => key.endsWith(":1"))!;
    await redis.cli("setrange", chunk, "1000", "x");
    await redis.cli("setrange", later, "77", "yy");
    await redis.cli("hset", meta, "-", "WPS1 is not this");
    await redis.cli("del", gone);
    const list = (await keysOf("/list")).find((key) => key.endsWith(":m"))!;
    await redis.cli("del", list);
    await redis.cli("rpush", list, "x");
    await using b = await startNode(redis.url, { origin: origin.url, mayCount: ["checksumFailures"] });
    for (const path of ["/chunk", "/later", "/meta", "/gone", "/list"]) {
      const got = await http(b.http, path);
      expect([path, got.isComplete, got.sha256]).toEqual([path, true, sha256(body)]);
      expect(origin.count(path)).toBe(2);
    }
    expect(await counter(b, "sharedBroken")).toBe(4);
    expect(await counter(b, "sharedRecovered")).toBe(2);
    await using other = await startNode(redis.url, { origin: origin.url, args: ["--deployment", "another"] });
    expect((await http(other.http, "/chunk")).sha256).toBe(sha256(body));
    expect(origin.count("/chunk")).toBe(3);
  });
});
