import { describe, expect, test } from "bun:test";
import { objectName, SharedMemory } from "@proj/ipc";
import {
  CACHE_COUNTERS,
  Counters,
  channelNames,
  controlBlockBytes,
  Histogram,
  PROXY_COUNTERS,
  type Side,
  threadCounters,
  threadHistogram,
  writeControlBlock,
} from "@proj/protocol";
import { readChannelStats } from "./channel-stats.ts";
import { startTimeOf } from "./process-identity.ts";

const THREADS = 2;

function ownChannel(): string {
  return `test-${process.pid}-${Math.random().toString(36).slice(2)}`;
}

/** A side's control block, with 1, 2, 3 ... in the counters of its first thread and 1000 in those of the second. */
function makeSide(
  channel: string,
  side: Side,
  identity = { pid: process.pid, startTime: startTimeOf(process.pid)! },
): SharedMemory {
  const memory = SharedMemory.create(objectName(channelNames(channel).controlBlock(side)), controlBlockBytes(THREADS));
  const block = {
    ...identity,
    life: 1,
    state: "serving",
    threads: THREADS,
    segments: 4,
    segmentBytes: 4096,
    httpPort: 80,
    getfilePort: 81,
    startedAt: 5,
  } as const;
  writeControlBlock(memory.buffer, block);
  const names: readonly string[] = side === "proxy" ? PROXY_COUNTERS : CACHE_COUNTERS;
  for (const [index, name] of names.entries()) {
    new Counters(names, threadCounters(memory.buffer, 0)).set(name, index + 1);
    new Counters(names, threadCounters(memory.buffer, 1)).set(name, 1000);
  }
  // The second thread's first histogram: two of 1 ms.
  new Histogram(threadHistogram(memory.buffer, 1, 0)).add(1, 2);
  return memory;
}

function remove(memory: SharedMemory): void {
  memory.unlink();
  memory.close();
}

describe("readChannelStats()", () => {
  test("is empty for a channel that nobody runs", () => {
    const channel = ownChannel();
    expect(readChannelStats(channel)).toEqual({
      channel,
      hits: 0,
      misses: 0,
      portions: 0,
      segmentsInUse: 0,
      lostWakeups: 0,
      doubleGiveBacks: 0,
      checksumFailures: 0,
      refusedMessages: 0,
      origins: [],
      timings: {},
      proxy: null,
      cache: null,
    });
  });

  test("adds up the threads, by name", () => {
    const channel = ownChannel();
    const sides = [makeSide(channel, "proxy"), makeSide(channel, "cache")];
    try {
      const stats = readChannelStats(channel);
      const sumOf = (names: readonly string[], name: string) => names.indexOf(name) + 1 + 1000;
      expect(stats).toMatchObject({
        hits: sumOf(PROXY_COUNTERS, "hotHits") + sumOf(CACHE_COUNTERS, "hits"),
        misses: sumOf(CACHE_COUNTERS, "misses"),
        portions: sumOf(PROXY_COUNTERS, "portions"),
        segmentsInUse: sumOf(PROXY_COUNTERS, "segmentsHeld"),
        doubleGiveBacks: sumOf(PROXY_COUNTERS, "doubleGiveBacks"),
        checksumFailures: sumOf(CACHE_COUNTERS, "storedBroken") + sumOf(CACHE_COUNTERS, "sharedBroken"),
        lostWakeups: sumOf(PROXY_COUNTERS, "lostWakeups") + sumOf(CACHE_COUNTERS, "lostWakeups"),
        refusedMessages: sumOf(PROXY_COUNTERS, "refusedMessages") + sumOf(CACHE_COUNTERS, "refusedMessages"),
        proxy: {
          pid: process.pid,
          state: "serving",
          threads: 2,
          segments: 4,
          segmentBytes: 4096,
          httpPort: 80,
          getfilePort: 81,
          startedAt: 5,
        },
        cache: { pid: process.pid, state: "serving", threads: 2 },
      });
      const { hotFirstByte, originFirstByte, originTotal } = stats.timings;
      expect([hotFirstByte?.count, originFirstByte?.count, originTotal]).toEqual([
        2,
        2,
        { count: 0, meanMs: null, p50Ms: null, p90Ms: null, p99Ms: null, p999Ms: null },
      ]);
      expect(hotFirstByte?.meanMs).toBe(1);
      expect(hotFirstByte?.p99Ms).toBeGreaterThan(0.8);
      expect(hotFirstByte?.p99Ms).toBeLessThan(1.25);
      expect(Object.keys(stats.proxy!.counters)).toEqual([...PROXY_COUNTERS]);
      expect(Object.keys(stats.cache!.counters)).toEqual([...CACHE_COUNTERS]);
    } finally {
      sides.forEach(remove);
    }
  });

  test("says dead of a process that is not the one that wrote the block", () => {
    const channel = ownChannel();
    const memory = makeSide(channel, "cache", { pid: process.pid, startTime: 1 });
    try {
      expect(readChannelStats(channel).cache?.state).toBe("dead");
    } finally {
      remove(memory);
    }
  });

  test("leaves out a block that is unfinished or of another layout", () => {
    const channel = ownChannel();
    const memory = SharedMemory.create(objectName(channelNames(channel).controlBlock("cache")), controlBlockBytes(1));
    try {
      expect(readChannelStats(channel).cache).toBeNull();
      memory.bytes.fill(0xff);
      expect(readChannelStats(channel).cache).toBeNull();
    } finally {
      remove(memory);
    }
  });
});
