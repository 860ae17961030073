/** The engine slow, gone, full, restarted empty, a master killed: nodes go on alone at once, say so, and join again by themselves. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { get } from "../caching/support.ts";
import { sha256, someBytes } from "../support/bytes.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { http } from "../support/http-client.ts";
import { RedisCluster, RedisServer } from "../support/redis.ts";
import { IS_WHOLE } from "../support/scale.ts";
import type { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";
import { alone, counter, degraded, joined, Nodes, startNode, written } from "./nodes.ts";

const HEADERS = { "Cache-Control": "max-age=600" };
const RECOVERY_MS = 40_000;
const LOAD_MS = IS_WHOLE ? 60_000 : 8_000;
const KIB = 1024;

setDefaultTimeout(150_000);

/** Answers any target with bytes of its own, whose sum is known. */
function bodyOf(target: string): Buffer {
  const [, length = "1000", seed = "1"] = /^\/(\d+)\/(\d+)/.exec(target) ?? [];
  return someBytes(Number(length), Number(seed));
}

describe("when the engine fails", () => {
  test("an engine that hangs is left alone, requests go on, and it is asked again once it answers", async () => {
    await using redis = await RedisServer.start();
    await using origin = CountingOrigin.start();
    for (let index = 0; index < 40; index++)
      origin.set(`/1000/${index}`, { body: bodyOf(`/1000/${index}`), headers: HEADERS });
    await using node = await startNode(redis.url, { origin: origin.url, isPatient: false });
    await get(node.http, "/1000/0");
    await written(node, 1);
    await redis.kill("SIGSTOP");
    for (let index = 1; index < 20; index++) expect((await http(node.http, `/1000/${index}`)).isComplete).toBe(true);
    await alone(node);
    expect(await degraded(node)).toContain("shared");
    await redis.kill("SIGCONT");
    await joined(node);
    await eventually(RECOVERY_MS, "nothing is degraded", async () => (await degraded(node)).length === 0);
    const writes = await counter(node, "sharedWrites");
    let index = 20;
    await eventually(RECOVERY_MS, "it writes again", async () => {
      await http(node.http, `/1000/${index++}`);
      return (await counter(node, "sharedWrites")) > writes;
    });
  });

  test("a node starts without the engine, and joins once it is there; a full one is read from, and not written to", async () => {
    await using redis = await RedisServer.start();
    await using origin = CountingOrigin.start();
    for (let index = 0; index < 400; index++) {
      const target = `/${300 * KIB}/${index}`;
      origin.set(target, { body: bodyOf(target), headers: HEADERS });
    }
    await redis.kill();
    const { Webproxy } = await import("../support/webproxy.ts");
    await using node = await Webproxy.start({
      origin: origin.url,
      args: ["--shared", redis.url, "--shared-budget", "8000"],
    });
    expect((await http(node.http, `/${300 * KIB}/0`)).isComplete).toBe(true);
    await eventually(RECOVERY_MS, "it says what it lacks", async () => (await degraded(node)).includes("shared"));
    await redis.restart();
    await joined(node);
    let shared = 0;
    await eventually(RECOVERY_MS, "it writes", async () => {
      await http(node.http, `/${300 * KIB}/${++shared}`);
      return (await counter(node, "sharedWrites")) > 0;
    });
    await redis.cli("config", "set", "maxmemory", "3mb");
    for (let index = shared + 1; index < shared + 20; index++)
      expect((await http(node.http, `/${300 * KIB}/${index}`)).isComplete).toBe(true);
    await eventually(
      RECOVERY_MS,
      "what does not fit is dropped",
      async () => (await counter(node, "sharedDropped")) > 0,
    );
    await node.says("Nothing is written to it for a while");
    await using other = await startNode(redis.url, { origin: origin.url });
    const asked = origin.requests.length;
    // From the first on, which may have been kept back while the engine was away, and be the one that was written.
    for (let index = 0; index <= shared; index++) await http(other.http, `/${300 * KIB}/${index}`);
    expect(await counter(other, "sharedHits")).toBeGreaterThan(0);
    expect(origin.requests.length - asked).toBeLessThan(shared + 1);
  });

  test("a master killed under load: no failed request, no wrong byte; what it held is found again behind its replica", async () => {
    await using cluster = await RedisCluster.start();
    await using origin = CountingOrigin.start();
    const targets = Array.from({ length: 300 }, (_, index) => `/${[500, 20_000, 700_000][index % 3]}/${index}`);
    const sums = new Map(targets.map((target) => [target, sha256(bodyOf(target))]));
    for (const target of targets) origin.set(target, { body: bodyOf(target), headers: HEADERS });
    // Without tiers of their own nodes ask the engine each time.
    const small = ["--memory", "2MiB", "--disk", "0", "--hot", "0"];
    await using nodes = await Nodes.start(3, cluster.url, { origin: origin.url, args: small, isPatient: false });
    const masters = await cluster.masters();
    expect(masters.length).toBe(3);
    for (const target of targets) await http(nodes.all[0]!.http, target);
    const asked = new Set<string>();
    let requests = 0;
    let failed = 0;
    let lastOriginCount = origin.requests.length;
    const untilMs = performance.now() + LOAD_MS;
    const client = async (node: Webproxy, seed: number) => {
      let state = seed;
      while (performance.now() < untilMs) {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        const target = targets[state % targets.length]!;
        const got = await http(node.http, target, { timeoutMs: 60_000 });
        requests++;
        if (got.status !== "200" || !got.isComplete || got.sha256 !== sums.get(target)) failed++;
        asked.add(target);
      }
    };
    const clients = nodes.all.flatMap((node, index) => [client(node, index + 1), client(node, index + 77)]);
    await Bun.sleep(LOAD_MS / 4);
    const killedMs = performance.now();
    await masters[0]!.kill();
    let gapMs = Number.NaN;
    const watch = (async () => {
      const survivor = masters[1]!;
      await eventually(
        RECOVERY_MS,
        "a replica takes over",
        async () =>
          /cluster_state:ok/.test(await survivor.cli("cluster", "info")) && (await cluster.masters()).length === 3,
      );
      gapMs = performance.now() - killedMs;
    })();
    await Promise.all([...clients, watch]);
    expect(failed).toBe(0);
    for (const node of nodes.all) await joined(node);
    await eventually(RECOVERY_MS, "no server is left alone", async () => {
      const open = await Promise.all(nodes.all.map((node) => counter(node, "sharedBreakersOpen")));
      return open.every((count) => count === 0);
    });
    lastOriginCount = origin.requests.length - lastOriginCount;
    console.log(
      `${requests} requests, ${asked.size} objects; the replica was master after ${Math.round(gapMs)} ms; ${lastOriginCount} origin requests during the load`,
    );
  });
});
