/** Purges of a deployment: applied on all nodes, named where they are not, replayed by who was away, never undone by what lies in the engine. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { DecidingOrigin } from "../caching/origin.ts";
import { get } from "../caching/support.ts";
import { RedisServer } from "../support/redis.ts";
import { TempDirectory } from "../support/temp-directory.ts";
import { ownChannel, type Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";
import {
  alone,
  degraded,
  joined,
  Nodes,
  purgeEverywhere,
  purgeNodes,
  sharedStatus,
  startNode,
  written,
} from "./nodes.ts";

setDefaultTimeout(120_000);

/** Every response says its version, and has its path's first letter for a tag. */
async function versionedOrigin(): Promise<{ origin: DecidingOrigin; next: () => void }> {
  let version = 1;
  const origin = await DecidingOrigin.start(({ target, headers }) => {
    const etag = `"${version}"`;
    const fields = {
      "Cache-Control": "max-age=600, stale-while-revalidate=600",
      ETag: etag,
      "Surrogate-Key": target[1]!,
    };
    return headers["if-none-match"] === etag
      ? { status: 304, headers: fields }
      : { headers: fields, body: `v${version}` };
  });
  return { origin, next: () => void version++ };
}

async function bodies(nodes: readonly Webproxy[], path: string): Promise<string[]> {
  const found: string[] = [];
  for (const node of nodes) found.push((await get(node.http, path)).body);
  return found;
}

/** Kills a node's cache, and waits until another runs. */
async function killCache(node: Webproxy): Promise<void> {
  const { pid } = (await node.stats()).cache!;
  process.kill(pid, "SIGKILL");
  const isAnother = async () => ![pid, undefined].includes((await node.stats()).cache?.pid);
  await eventually(20_000, "another cache runs", isAnother);
}

describe("a purge of a deployment", () => {
  test("by URL, prefix, pattern, tag and all: every node, every tier, and the shared one; soft: validated", async () => {
    await using redis = await RedisServer.start();
    const { origin, next } = await versionedOrigin();
    await using _ = origin;
    await using nodes = await Nodes.start(3, redis.url, { origin: origin.url });
    const [a, b, c] = nodes.all as [Webproxy, Webproxy, Webproxy];
    let version = 1;
    for (const wanted of [{ url: "/a/11" }, { prefix: "/a/2" }, { pattern: "*31" }, { tag: "a" }, { all: true }]) {
      const path = `/a/${version}1`;
      expect(await bodies([a], path)).toEqual([`v${version}`]);
      await written(a, version);
      expect(await bodies([a, b, b], path)).toEqual([`v${version}`, `v${version}`, `v${version}`]);
      next();
      version++;
      const answer = await purgeEverywhere(b, wanted);
      expect(answer.purged).toBeGreaterThanOrEqual(1);
      expect([answer.nodes.applied.length, answer.nodes.missing]).toEqual([3, []]);
      // C has never had it: all there is of it is in the engine.
      expect(await bodies([c, b, a], path)).toEqual([`v${version}`, `v${version}`, `v${version}`]);
    }
    next();
    await purgeEverywhere(c, { tag: "a", soft: true });
    const softly = await get(a.http, "/a/51");
    expect([softly.body, softly.cache?.includes("ttl=-")]).toEqual([`v${version}`, true]); // stale-while-revalidate
    await eventually(20_000, "it is validated", async () => (await get(a.http, "/a/51")).body === `v${version + 1}`);
  });

  test("a fill that began before a purge brings nothing back, at no node", async () => {
    await using redis = await RedisServer.start();
    const gate = Promise.withResolvers<void>();
    let version = 1;
    await using origin = await DecidingOrigin.start(() => ({
      headers: { "Cache-Control": "max-age=600" },
      body: `v${version}`,
      ...(version === 1 && { until: gate.promise }),
    }));
    await using nodes = await Nodes.start(2, redis.url, { origin: origin.url });
    const [a, b] = nodes.all as [Webproxy, Webproxy];
    const first = get(a.http, "/x");
    await eventually(20_000, "A has asked", () => origin.count("/x") === 1);
    await purgeEverywhere(b, { url: "/x" });
    version = 2;
    gate.resolve();
    await first; // it asked before the purge
    expect(await bodies([b, a, b, a], "/x")).toEqual(["v2", "v2", "v2", "v2"]);
  });

  test("an unsafe request at one node is a purge at all of them", async () => {
    await using redis = await RedisServer.start();
    const { origin, next } = await versionedOrigin();
    await using _ = origin;
    await using nodes = await Nodes.start(2, redis.url, { origin: origin.url });
    const [a, b] = nodes.all as [Webproxy, Webproxy];
    await get(a.http, "/x");
    await written(a, 1);
    expect(await bodies([b], "/x")).toEqual(["v1"]);
    next();
    await get(a.http, "/x", { method: "DELETE" });
    expect(await bodies([a], "/x")).toEqual(["v2"]);
    await eventually(20_000, "B has heard", async () => (await get(b.http, "/x")).body === "v2");
  });

  test("a node that was away at a purge applies it before it serves", async () => {
    await using redis = await RedisServer.start();
    const { origin, next } = await versionedOrigin();
    await using _ = origin;
    using directory = new TempDirectory({ mode: 0o777 });
    const args = ["--cache-dir", directory.file("b"), "--node", "b"];
    const channel = ownChannel();
    await using a = await startNode(redis.url, { origin: origin.url, args: ["--node", "a"] });
    {
      await using b = await startNode(redis.url, { origin: origin.url, args, channel });
      await get(b.http, "/x");
      await get(b.http, "/y");
      await written(b, 2);
      // A death of the cache loses neither its place in the log nor its name.
      await killCache(b);
      await joined(b);
      expect((await purgeEverywhere(a, { url: "/none" })).nodes).toEqual({ applied: ["a", "b"], missing: [] });
    }
    next();
    const { nodes } = await purgeNodes(a, { url: "/x" });
    expect(nodes).toEqual({ applied: ["a"], missing: [] }); // it has said good-bye
    await using b = await startNode(redis.url, { origin: origin.url, args, channel });
    expect(await bodies([b], "/x")).toEqual(["v2"]);
    expect(await bodies([b], "/y")).toEqual(["v1"]); // the rest of its store is as good as before
    expect(origin.count("/y")).toBe(1);
    expect((await purgeEverywhere(a, { url: "/x" })).nodes).toEqual({ applied: ["a", "b"], missing: [] });
  });

  test("made while the engine is away, it is sent when it is back; one that is empty then makes everything doubtful", async () => {
    await using redis = await RedisServer.start();
    const { origin, next } = await versionedOrigin();
    await using _ = origin;
    await using a = await startNode(redis.url, { origin: origin.url, args: ["--node", "a"] });
    await using b = await startNode(redis.url, { origin: origin.url, args: ["--node", "b"] });
    await get(a.http, "/x");
    await written(a, 1);
    expect(await bodies([b], "/x")).toEqual(["v1"]);
    await purgeEverywhere(a, { url: "/none" });
    await redis.kill();
    await Promise.all([alone(a), alone(b)]);
    expect(await degraded(a)).toContain("shared");
    next();
    expect((await purgeNodes(a, { url: "/x" })).nodes).toEqual({ applied: ["a"], missing: ["b"] });
    await eventually(20_000, "A says that it has one to send", async () => (await sharedStatus(a))?.unsent === 1);
    expect(await bodies([a, b], "/x")).toEqual(["v2", "v1"]);
    await redis.restart(); // with nothing in it
    await Promise.all([joined(a), joined(b)]);
    expect(await bodies([b], "/x")).toEqual(["v2"]);
    await eventually(20_000, "B is no longer degraded", async () => (await degraded(b)).length === 0);
    await eventually(20_000, "A has sent it", async () => (await sharedStatus(a))?.unsent === 0);
  });

  test("a node that has missed more than the log still knows validates what it had", async () => {
    await using redis = await RedisServer.start();
    const { origin, next } = await versionedOrigin();
    await using _ = origin;
    using directory = new TempDirectory({ mode: 0o777 });
    const args = ["--cache-dir", directory.file("b"), "--node", "b"];
    const channel = ownChannel();
    await using a = await startNode(redis.url, { origin: origin.url, args: ["--node", "a"] });
    {
      await using b = await startNode(redis.url, { origin: origin.url, args, channel });
      await get(b.http, "/x");
      await get(b.http, "/y");
      await written(b, 2);
    }
    next();
    await purgeNodes(a, { url: "/x" });
    for (let count = 0; count < 3; count++) await purgeNodes(a, { url: "/none" });
    const key = (await redis.cli("keys", "*log}:s")).trim();
    expect(await redis.cli("xtrim", key, "maxlen", "2")).toBe("3"); // the beginning, and two purges
    await using b = await startNode(redis.url, { origin: origin.url, args, channel });
    expect(await bodies([b, b], "/x")).toEqual(["v2", "v2"]);
    expect(await bodies([b], "/y")).toEqual(["v2"]); // validated, and found to be another
  });
});
