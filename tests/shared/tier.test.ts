/** The tier as one thread uses it, on a real engine that hangs, is full, or is away: what waits is bounded, and nothing is forgotten in silence. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { type LogState, parseSharedAddress, type SharedCounter, SharedTier, type SharedWrite } from "@proj/shared-tier";
import { RedisServer } from "../support/redis.ts";
import { eventually } from "../support/within.ts";

setDefaultTimeout(120_000);

const JOINED: LogState = {
  ...{ isJoined: true, sequence: 1, validFrom: 0, newest: 1, behind: 0, nodes: 1, clockOffsetMs: 0, unsent: 0 },
};
const MIB = 1024 * 1024;

class TestTier implements Disposable {
  readonly counts = new Map<SharedCounter, number>();
  readonly tier: SharedTier;

  constructor(url: string, budgetMs = 8_000) {
    this.tier = new SharedTier({
      address: parseSharedAddress(url)!,
      deployment: "tier",
      budgetMs,
      count: (name, amount = 1) => this.counts.set(name, (this.counts.get(name) ?? 0) + amount),
      log: () => {},
      nowMs: () => Date.now(),
      monotonicMs: () => performance.now(),
    });
    this.tier.hear(JOINED);
  }

  /** Whether it has been written, once that is known. */
  write(key: string, bodyBytes: number, change: Partial<SharedWrite> = {}): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.tier.write({
      ...{ key, varyKey: "", bodyBytes, filledAfter: 1, liveMs: 60_000, tags: [], lease: undefined },
      describe: () => new Uint8Array(8),
      read: async (position, into) => void into.fill(position & 255),
      isWanted: () => true,
      done: (entry) => resolve(entry !== undefined),
      ...change,
    });
    return promise;
  }

  [Symbol.dispose](): void {
    this.tier.close();
  }
}

async function logOf(redis: RedisServer): Promise<string> {
  return await redis.cli("xrange", "tier:{tier.log}:s", "-", "+");
}

describe("SharedTier", () => {
  test("an engine that hangs: what waits to be written is given up together, not one after the other", async () => {
    await using redis = await RedisServer.start();
    using node = new TestTier(redis.url);
    await eventually(30_000, "it writes", () => node.write("/first", 10));
    await redis.kill("SIGSTOP");
    let read = 0;
    const counting = async (position: number, into: Uint8Array) => {
      read += into.length;
      into.fill(position & 255);
    };
    const written = Array.from({ length: 200 }, (_, index) => node.write(`/${index}`, MIB / 4, { read: counting }));
    expect((await Promise.all(written)).filter(Boolean)).toEqual([]);
    // Four were under way; of the others nothing was read, nor handed to a socket.
    expect(read).toBeLessThanOrEqual(2 * MIB);
    await redis.kill("SIGCONT");
    await eventually(30_000, "it writes again", () => node.write("/last", 10));
  });

  test("what is no longer wanted is not written, however short it is, and others may ask the origin at once", async () => {
    await using redis = await RedisServer.start();
    using node = new TestTier(redis.url);
    await eventually(30_000, "it writes", () => node.write("/first", 10));
    const looked = await node.tier.lookUp("/empty");
    if (looked?.lease.kind !== "us") throw new Error("no lease");
    expect(await node.write("/empty", 0, { isWanted: () => false, lease: looked.lease.lease })).toBe(false);
    await eventually(30_000, "the lease is free", async () => (await node.tier.lookUp("/empty"))?.lease.kind === "us");
  });

  test("a full engine: what it has is found, what it has not is a miss that nobody waits for, and it is not left alone", async () => {
    await using redis = await RedisServer.start();
    using node = new TestTier(redis.url);
    await eventually(30_000, "it writes", () => node.write("/first", 1_000));
    await redis.cli("config", "set", "maxmemory", "1");
    for (let index = 0; index < 10; index++) {
      const looked = await node.tier.lookUp(`/none/${index}`);
      expect([looked?.entries.length, looked?.lease.kind]).toEqual([0, "pass"]);
    }
    expect(node.tier.openBreakers).toBe(0);
    const found = await node.tier.lookUp("/first");
    expect((await node.tier.readChunk(found!.entries[0]!, 0))?.length).toBe(1_000);
    expect(await node.write("/more", 1_000)).toBe(false);
  });

  test("more changes than are kept while the engine is away: everything is doubtful then", async () => {
    await using redis = await RedisServer.start();
    using node = new TestTier(redis.url);
    await eventually(30_000, "it writes", () => node.write("/first", 10));
    await redis.cli("xadd", "tier:{tier.log}:s", "1-0", "id", "a", "what", '{"begin":true}');
    await redis.kill();
    await eventually(30_000, "it is away", async () => (await node.tier.lookUp("/first")) === undefined);
    for (let index = 0; index < 4_200; index++)
      node.tier.changed({ by: "key", key: `/${index}`, target: `/${index}` }, true);
    await redis.restart();
    await redis.cli("xadd", "tier:{tier.log}:s", "1-0", "id", "a", "what", '{"selectors":[],"soft":false}');
    await eventually(30_000, "they are told", async () => {
      node.tier.hear(JOINED);
      return (await redis.cli("xlen", "tier:{tier.log}:s")) === String(1 + 4_096 + 1);
    });
    expect(await logOf(redis)).toContain('{"begin":true}');
  });
});
