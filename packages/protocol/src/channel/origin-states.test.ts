import { describe, expect, test } from "bun:test";
import { controlBlockBytes, readControlBlock, threadCounters, writeControlBlock } from "./control-block.ts";
import { ORIGINS_MAX, readOriginsSeen, writeOriginCounts, writeOriginNames } from "./origin-states.ts";

const THREADS = 3;

describe("the origins in a control block", () => {
  test("read as they were written, in sum over the threads", () => {
    const buffer = new ArrayBuffer(controlBlockBytes(THREADS));
    expect(readOriginsSeen(buffer, THREADS)).toEqual([]);
    writeOriginNames(buffer, ["http://a.example", "https://[::1]:8443"]);
    for (let thread = 0; thread < THREADS; thread++) {
      writeOriginCounts(buffer, thread, [
        { asked: 10, failures: thread, isResting: thread > 0 },
        { asked: 2 ** 40, failures: 0, isResting: false },
      ]);
    }
    expect(readOriginsSeen(buffer, THREADS)).toEqual([
      { origin: "http://a.example", asked: 30, failures: 3, restingThreads: 2 },
      { origin: "https://[::1]:8443", asked: 3 * 2 ** 40, failures: 0, restingThreads: 0 },
    ]);
  });

  test("touch neither the block's fields nor any counter, however many and long they are", () => {
    const buffer = new ArrayBuffer(controlBlockBytes(THREADS));
    const identity = { life: 1, pid: 2, startTime: 3, state: "serving", threads: THREADS, startedAt: 5 } as const;
    const block = { ...identity, segments: 4, segmentBytes: 4096, httpPort: 80, getfilePort: 81 };
    writeControlBlock(buffer, block);
    for (let thread = 0; thread < THREADS; thread++) threadCounters(buffer, thread).fill(thread + 1);
    const names = Array.from({ length: ORIGINS_MAX + 4 }, (_, index) => `http://${"x".repeat(200)}${index}.example`);
    writeOriginNames(buffer, names);
    for (let thread = 0; thread < THREADS; thread++) {
      const counts = names.map(() => ({ asked: 7, failures: 7, isResting: true }));
      writeOriginCounts(buffer, thread, counts);
    }
    expect(readControlBlock(buffer)).toEqual(block);
    for (let thread = 0; thread < THREADS; thread++)
      expect(new Set(threadCounters(buffer, thread))).toEqual(new Set([thread + 1]));
    const seen = readOriginsSeen(buffer, THREADS);
    expect(seen).toHaveLength(ORIGINS_MAX);
    expect(seen[0]).toEqual({ origin: names[0]!, asked: 21, failures: 21, restingThreads: 3 });
  });

  test("of a block that somebody has scribbled on are none, or at least no more than there is room for", () => {
    const buffer = new ArrayBuffer(controlBlockBytes(1));
    for (const bytes of [4033, 2 ** 32 - 1]) {
      new DataView(buffer).setUint32(56, bytes, true);
      expect(readOriginsSeen(buffer, 1)).toEqual([]);
    }
    new Uint8Array(buffer, 64, 4032).fill(0x0a);
    new DataView(buffer).setUint32(56, 4032, true);
    expect(readOriginsSeen(buffer, 1)).toHaveLength(ORIGINS_MAX);
  });
});
