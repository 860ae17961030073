import { describe, expect, jest, test } from "bun:test";
import type { Segment } from "@proj/ipc";
import { Counters, PROXY_COUNTERS, type ProxyCounter } from "@proj/protocol";
import { DeliveryWaits } from "./delivery-waits.ts";

const SEGMENT = {} as Segment;

/** Waits on a clock of their own, for a cache and a pool that a test moves. */
function harness() {
  const clock = { nowMs: 1_000 };
  const counters = new Counters<ProxyCounter>(PROXY_COUNTERS, new Float64Array(PROXY_COUNTERS.length));
  const attached = new Set<() => void>();
  const cache = {
    awaySinceMs: clock.nowMs,
    whenAttached: (ready: () => void) => {
      attached.add(ready);
      return () => attached.delete(ready);
    },
  };
  const pool = {
    givenBack: [] as Segment[],
    taken: [] as { settle: PromiseWithResolvers<Segment | undefined>; signal: AbortSignal | undefined }[],
    take: (options?: { signal?: AbortSignal }) => {
      const settle = Promise.withResolvers<Segment | undefined>();
      pool.taken.push({ settle, signal: options?.signal });
      options?.signal?.addEventListener("abort", () => settle.reject(new Error("aborted")));
      return settle.promise;
    },
    giveBack: (segment: Segment) => void pool.givenBack.push(segment),
  };
  const told: string[] = [];
  const state = { isOver: false };
  const waits = new DeliveryWaits(
    { cache, pool, counters, now: () => clock.nowMs },
    {
      isOver: () => state.isOver,
      cacheCame: () => void told.push("cache"),
      segmentCame: () => void told.push("segment"),
      inVain: (reason) => void told.push(reason),
    },
  );
  return { clock, counters, attached, cache, pool, told, state, waits };
}

/** As {@link harness}, with timers that go when `pass` says so. */
function withClock(run: (it: ReturnType<typeof harness> & { pass: (ms: number) => void }) => void): void {
  jest.useFakeTimers();
  try {
    const it = harness();
    const pass = (ms: number) => {
      it.clock.nowMs += ms;
      jest.advanceTimersByTime(ms);
    };
    run({ ...it, pass });
  } finally {
    jest.useRealTimers();
  }
}

describe("DeliveryWaits.forCache()", () => {
  test("is over when the cache comes, or has been away for too long", () => {
    withClock(({ waits, told, attached, pass }) => {
      waits.forCache();
      pass(399);
      expect(told).toEqual([]);
      for (const ready of attached) ready();
      pass(60_000);
      expect(told).toEqual(["cache"]);
    });
    withClock(({ waits, told, attached, pass }) => {
      waits.forCache();
      pass(400);
      expect(told).toEqual(["cache-away"]);
      expect(attached.size).toBe(0);
    });
  });

  test("counts from when the cache went, and does not begin anew with the next one that goes", () => {
    withClock(({ waits, told, attached, cache, clock, pass }) => {
      cache.awaySinceMs = clock.nowMs - 100;
      waits.forCache();
      pass(200);
      for (const ready of attached) ready();
      attached.clear();
      cache.awaySinceMs = clock.nowMs;
      waits.forCache();
      pass(99);
      expect(told).toEqual(["cache"]);
      pass(1);
      expect(told).toEqual(["cache", "cache-away"]);
    });
  });

  test("stop() ends it", () => {
    withClock(({ waits, told, attached, pass }) => {
      waits.forCache();
      waits.stop();
      pass(60_000);
      expect(told).toEqual([]);
      expect(attached.size).toBe(0);
    });
  });
});

describe("DeliveryWaits.forSegment()", () => {
  test("asks the pool once at a time, and hands on what comes", async () => {
    const { waits, told, pool, counters } = harness();
    waits.forSegment();
    waits.forSegment();
    expect(pool.taken).toHaveLength(1);
    pool.taken[0]!.settle.resolve(SEGMENT);
    await Promise.resolve();
    expect(told).toEqual(["segment"]);
    waits.forSegment();
    expect(pool.taken).toHaveLength(2);
    expect(counters.get("segmentWaits")).toBe(2);
  });

  test("is in vain when none comes in time", async () => {
    const { waits, told, pool, counters } = harness();
    waits.forSegment();
    pool.taken[0]!.settle.resolve(undefined);
    await Promise.resolve();
    expect(told).toEqual(["overloaded"]);
    expect(counters.get("segmentTimeouts")).toBe(1);
  });

  test("stop() ends it, and what comes all the same goes back", async () => {
    const { waits, told, pool, state } = harness();
    waits.forSegment();
    state.isOver = true;
    pool.taken[0]!.settle.resolve(SEGMENT); // just before
    waits.stop();
    await Promise.resolve();
    expect(pool.taken[0]!.signal?.aborted).toBe(true);
    expect(pool.givenBack).toEqual([SEGMENT]);
    expect(told).toEqual([]);
  });
});
