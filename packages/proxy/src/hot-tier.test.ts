import { describe, expect, test } from "bun:test";
import { bumpStripe, STRIPES, stripeOf, stripeVersion, targetHash } from "@proj/protocol";
import { HotTier, hotName, readyWith, restOf } from "./hot-tier.ts";

const KIB = 1024;

function setUp(limitBytes = 64 * KIB) {
  const clock = { nowMs: 1_000_000 };
  const versions = new Int32Array(STRIPES);
  const tier = new HotTier(limitBytes, () => clock.nowMs);
  tier.attach(versions);
  const keep = (target: string, bytes = 100, times = { ageSeconds: 5, ttlSeconds: 10 }) => {
    const hash = targetHash(target);
    const version = stripeVersion(versions, stripeOf(hash));
    tier.keep(target, hash, new Uint8Array(bytes).fill(7), { bodyBytes: bytes, version, ...times });
  };
  return { clock, versions, tier, keep };
}

describe("HotTier", () => {
  test("gives a response while it is fresh, with the age that it has by then", () => {
    const { clock, tier, keep } = setUp();
    keep("/a");
    clock.nowMs += 4000;
    expect(tier.times(tier.lookup("/a")!)).toEqual({
      ageSeconds: 9,
      ttlSeconds: 6,
      untilMs: clock.nowMs + 1000,
    });
    clock.nowMs += 5999;
    expect(tier.lookup("/a")).toBeDefined();
    clock.nowMs += 1;
    expect(tier.lookup("/a")).toBeUndefined();
    expect([tier.count, tier.usedBytes]).toEqual([0, 0]);
  });

  test("what was rendered is right until its Age changes", () => {
    const { clock, tier, keep } = setUp();
    keep("/a");
    clock.nowMs += 300;
    const hot = tier.lookup("/a")!;
    expect(tier.isReady(hot)).toBe(false);
    const { untilMs } = tier.times(hot);
    readyWith(hot, "HEAD", untilMs);
    clock.nowMs += 699;
    expect(tier.isReady(tier.lookup("/a")!)).toBe(true);
    clock.nowMs += 1;
    expect(tier.isReady(tier.lookup("/a")!)).toBe(false);
    expect(tier.times(hot)).toMatchObject({ ageSeconds: 6, ttlSeconds: 9 });
  });

  test("an entry is gone as soon as its stripe is bumped, and others stay", () => {
    const { versions, tier, keep } = setUp();
    keep("/a");
    keep("/b");
    bumpStripe(versions, stripeOf(targetHash("/a")));
    expect(tier.lookup("/a")).toBeUndefined();
    expect(tier.lookup("/b")).toBeDefined();
  });

  test("a response that changed on its way here is not kept", () => {
    const { versions, tier } = setUp();
    const hash = targetHash("/a");
    const version = stripeVersion(versions, stripeOf(hash));
    bumpStripe(versions, stripeOf(hash));
    tier.keep("/a", hash, new Uint8Array(10), { bodyBytes: 10, version, ageSeconds: 0, ttlSeconds: 60 });
    expect(tier.lookup("/a")).toBeUndefined();
  });

  test("the two wires never share an entry", () => {
    const { tier, keep } = setUp();
    keep("/a");
    expect(tier.lookup(hotName("getfile", "/a"))).toBeUndefined();
  });

  test("the limit holds; what is used stays, what is too large is never taken", () => {
    const { tier, keep } = setUp(16 * KIB);
    keep("/large", 3 * KIB);
    expect(tier.lookup("/large")).toBeUndefined();
    keep("/used", KIB);
    for (let index = 0; index < 100; index++) {
      keep(`/${index}`, KIB);
      expect(tier.usedBytes).toBeLessThanOrEqual(16 * KIB);
      expect(tier.lookup("/used")).toBeDefined();
    }
    expect(tier.lookup("/0")).toBeUndefined();
  });

  test("--hot 0 keeps nothing", () => {
    const { tier, keep } = setUp(0);
    keep("/a", 0);
    expect(tier.lookup("/a")).toBeUndefined();
  });

  test("a cache of another life: nothing of the former one is used", () => {
    const { tier, keep } = setUp();
    keep("/a");
    tier.attach(new Int32Array(STRIPES));
    expect(tier.lookup("/a")).toBeUndefined();
  });
});

test("restOf() copies what the next rendering would overwrite, and only that", () => {
  const { tier, keep } = setUp();
  keep("/a");
  const hot = tier.lookup("/a")!;
  const ready = readyWith(hot, "HEAD ONE ", 1);
  const early = restOf(hot, ready, 5);
  const late = restOf(hot, ready, 20);
  readyWith(hot, "head two ", 2);
  expect(Buffer.from(early).toString("latin1", 0, 4)).toBe("ONE ");
  expect(late.buffer).toBe(hot.bytes.buffer);
});

test("HotTier.keep() retains a lent body for as long as it keeps the response, and counts it", () => {
  const { tier, versions } = setUp(8 * 1024 * KIB);
  const hash = targetHash("/a");
  const version = stripeVersion(versions, stripeOf(hash));
  let borrowers = 1;
  const body = new Uint8Array(64 * KIB);
  const loan = {
    bytes: body,
    fildes: 0,
    isBroken: false,
    retain: () => borrowers++,
    giveBack: () => borrowers--,
    examine() {},
  };
  const head = new Uint8Array(50).fill(7);
  tier.keep("/a", hash, head, { bodyBytes: body.length, version, ageSeconds: 0, ttlSeconds: 9 }, loan);
  const hot = tier.lookup("/a")!;
  expect([hot.loan, borrowers]).toEqual([loan, 2]);
  expect(hot.bytes.subarray(hot.payloadOffset)).toEqual(Buffer.from(head));
  expect(tier.usedBytes).toBeGreaterThan(body.length);
  tier.attach(new Int32Array(STRIPES));
  expect([tier.usedBytes, borrowers]).toEqual([0, 1]);

  tier.attach(versions);
  tier.keep("/a", hash, head, { bodyBytes: body.length, version, ageSeconds: 0, ttlSeconds: 9 }, loan);
  expect(tier.lookup("/a")).toBeDefined();
  loan.isBroken = true;
  expect([tier.lookup("/a"), tier.usedBytes, borrowers]).toEqual([undefined, 0, 1]);
});
