/** The purge log flushed while nodes are connected, two nodes of one name, and what is kept of purges that can not be sent. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { DecidingOrigin } from "../caching/origin.ts";
import { get } from "../caching/support.ts";
import { RedisServer } from "../support/redis.ts";
import { Relay } from "../support/relay.ts";
import { TempDirectory } from "../support/temp-directory.ts";
import type { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";
import { alone, joined, Nodes, purgeEverywhere, purgeNodes, sharedStatus, startNode, written } from "./nodes.ts";

setDefaultTimeout(150_000);

describe("a purge log that is not what it was", () => {
  for (const [what, lose] of [
    ["the engine is flushed", (redis: RedisServer) => redis.cli("flushall")],
    ["the log is evicted", async (redis: RedisServer) => redis.cli("del", (await redis.cli("keys", "*log}:s")).trim())],
    [
      "a failover has lost an entry, and another has its number",
      async (redis: RedisServer) => {
        const key = (await redis.cli("keys", "*log}:s")).trim();
        const [id] = (await redis.cli("xrevrange", key, "+", "-", "count", "1")).split("\n");
        await redis.cli("xdel", key, id!);
        await redis.cli("xsetid", key, "1-0");
        await redis.cli("xadd", key, id!, "id", "another", "what", '{"selectors":[{"by":"all"}],"soft":false}');
      },
    ],
  ] as const) {
    test(`${what}: nodes find out by themselves, believe nothing old, and purges arrive again`, async () => {
      await using redis = await RedisServer.start();
      let version = 1;
      await using origin = await DecidingOrigin.start(({ headers }) => {
        const fields = { "Cache-Control": "max-age=600", ETag: `"${version}"` };
        if (headers["if-none-match"] === fields.ETag) return { status: 304, headers: fields };
        return { headers: fields, body: `v${version}` };
      });
      await using nodes = await Nodes.start(2, redis.url, { origin: origin.url });
      const [a, b] = nodes.all as [Webproxy, Webproxy];
      for (const node of [a, b]) expect((await get(node.http, "/x")).body).toBe("v1");
      await written(a, 1);
      await purgeEverywhere(a, { url: "/none" });
      version = 2;
      await lose(redis);
      // Nobody says anything: what was stored before is validated all the same, soon.
      for (const node of [a, b])
        await eventually(30_000, "the old one is doubtful", async () => (await get(node.http, "/x")).body === "v2");
      for (const node of [a, b]) await joined(node);
      version = 3;
      // The node that the log has lost is one of the two until it has joined again.
      expect((await purgeEverywhere(a, { url: "/x" })).nodes.applied.length).toBe(2);
      for (const node of [a, b, a]) expect((await get(node.http, "/x")).body).toBe("v3");
      await eventually(30_000, "nothing is left to send", async () => (await sharedStatus(a))?.unsent === 0);
    });
  }
});

test("news that do not come although the engine answers: the node says that it is alone, and joins anew with what it has missed", async () => {
  await using redis = await RedisServer.start();
  await using relay = await Relay.start(redis.port);
  let version = 1;
  await using origin = await DecidingOrigin.start(() => ({
    headers: { "Cache-Control": "max-age=600" },
    body: `v${version}`,
  }));
  await using a = await startNode(redis.url, { origin: origin.url, args: ["--node", "a"] });
  await using b = await startNode(`redis://127.0.0.1:${relay.port}`, { origin: origin.url, args: ["--node", "b"] });
  for (const path of ["/first", "/second"]) expect((await get(b.http, path)).body).toBe("v1");
  relay.loseAnswersTo("XREAD");
  version = 2;
  // A wait that has begun before is still answered; the next one is not.
  await eventually(30_000, "a purge does not come to B", async () => {
    const { missing } = (await purgeNodes(a, { url: "/first" })).nodes;
    return missing.includes("b");
  });
  await alone(b);
  expect((await get(b.http, "/second")).body).toBe("v1");
  relay.loseAnswersTo(undefined);
  await joined(b);
  expect((await get(b.http, "/first")).body).toBe("v2");
  expect((await get(b.http, "/second")).body).toBe("v1");
  expect((await purgeEverywhere(a, { url: "/second" })).nodes).toEqual({ applied: ["a", "b"], missing: [] });
  expect((await get(b.http, "/second")).body).toBe("v2");
});

test("two nodes of one name are told of", async () => {
  await using redis = await RedisServer.start();
  await using origin = await DecidingOrigin.start(() => ({ body: "x" }));
  const options = { origin: origin.url, args: ["--node", "twin"] };
  await using nodes = await Nodes.start(2, redis.url, options);
  const isTold = () =>
    nodes.all.some((node) => node.stderr.includes("Another node of the deployment calls itself twin"));
  await eventually(30_000, "one of them says so", isTold);
});

test("more purges than are kept while the engine is away: everything is validated by every node", async () => {
  await using redis = await RedisServer.start();
  let version = 1;
  await using origin = await DecidingOrigin.start(({ headers }) => {
    const fields = { "Cache-Control": "max-age=600", ETag: `"${version}"` };
    if (headers["if-none-match"] === fields.ETag) return { status: 304, headers: fields };
    return { headers: fields, body: `v${version}` };
  });
  using directory = new TempDirectory({ mode: 0o777 });
  const args = ["--cache-dir", directory.file("a"), "--node", "a"];
  await using a = await startNode(redis.url, { origin: origin.url, args });
  await using b = await startNode(redis.url, { origin: origin.url, args: ["--node", "b"] });
  for (const node of [a, b]) expect((await get(node.http, "/kept")).body).toBe("v1");
  await redis.kill();
  version = 2;
  const { host, port } = a.admin;
  const purge = (path: string) =>
    fetch(`http://${host}:${port}/api/purge`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ url: path }),
    });
  for (let index = 0; index < 1_100; index++) expect((await purge(`/${index}`)).status).toBe(200);
  await eventually(30_000, "it keeps one thing to send", async () => (await sharedStatus(a))?.unsent === 1);
  expect((await get(b.http, "/kept")).body).toBe("v1");
  await redis.restart();
  await Promise.all([joined(a), joined(b)]);
  await eventually(30_000, "it is sent", async () => (await sharedStatus(a))?.unsent === 0);
  await eventually(30_000, "B validates", async () => (await get(b.http, "/kept")).body === "v2");
});
