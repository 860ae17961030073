import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  beatWord,
  type ControlBlock,
  controlBlockBytes,
  readControlBlock,
  sleepingOffset,
  takeRoomWanted,
  threadCounters,
  threadHistogram,
  threadIdWord,
  wantRoom,
  watchedParts,
  writeControlBlock,
  writePorts,
  writeProcessState,
} from "./control-block.ts";
import { CACHE_COUNTERS, Counters, PROXY_COUNTERS, PROXY_HISTOGRAMS, readCounters } from "./counters.ts";
import { Histogram, HistogramReading } from "./histogram.ts";
import { readNotices, writeNotices } from "./notice.ts";

const BLOCK: ControlBlock = {
  life: 77,
  pid: 4242,
  startTime: 123_456_789_012,
  state: "starting",
  threads: 3,
  segments: 64,
  segmentBytes: 262_144,
  httpPort: 0,
  getfilePort: 0,
  startedAt: 1_700_000_000_000,
};

describe("a control block", () => {
  test("reads as it was written, and follows its state and ports", () => {
    const buffer = new ArrayBuffer(controlBlockBytes(3));
    expect(readControlBlock(buffer)).toBeUndefined();
    writeControlBlock(buffer, BLOCK);
    expect(readControlBlock(buffer)).toEqual(BLOCK);
    writePorts(buffer, 8080, 19121);
    writeProcessState(buffer, "serving");
    expect(readControlBlock(buffer)).toEqual({ ...BLOCK, httpPort: 8080, getfilePort: 19121, state: "serving" });
  });

  test("another layout is said to be that, and what can not be is malformed (CHECKLIST 59)", () => {
    const buffer = new ArrayBuffer(controlBlockBytes(3));
    writeControlBlock(buffer, BLOCK);
    new DataView(buffer).setUint32(4, 999, true);
    expect(readControlBlock(buffer)).toBe("other-version");
    writeControlBlock(buffer, { ...BLOCK, threads: 4 });
    expect(readControlBlock(buffer)).toBe("malformed");
    expect(readControlBlock(new ArrayBuffer(8))).toBe("malformed");
  });

  test("is read without a write, however often, since a supervisor maps it read-only", () => {
    const program = `
      import { objectName, SharedMemory } from "@proj/ipc";
      import { controlBlockBytes, readControlBlock, writeControlBlock } from ${JSON.stringify(new URL("./control-block.ts", import.meta.url).pathname)};
      const name = objectName("/test-" + process.pid + "-read-only");
      const block = SharedMemory.create(name, controlBlockBytes(1));
      const view = SharedMemory.open(name, { readOnly: true });
      SharedMemory.unlink(name);
      writeControlBlock(block.buffer, ${JSON.stringify({ ...BLOCK, threads: 1 })});
      let lives = 0;
      for (let round = 0; round < 300_000; round++) lives += readControlBlock(view.buffer).life;
      process.exit(lives === 77 * 300_000 ? 0 : 1);
    `;
    const cwd = new URL("../../../cache", import.meta.url).pathname; // a package that has @proj/ipc
    const { exitCode, signalCode, stderr } = Bun.spawnSync([process.execPath, "-e", program], { cwd, timeout: 60_000 });
    expect({ exitCode, signalCode, stderr: stderr.toString() }).toMatchObject({ exitCode: 0 });
  }, 90_000);

  test("whatever the bytes, nothing is thrown", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 64, maxLength: 64 }), (bytes) => {
        const buffer = new ArrayBuffer(controlBlockBytes(1));
        new Uint8Array(buffer).set(bytes);
        readControlBlock(buffer);
      }),
    );
  });

  test("pages of threads do not overlap, and hold all counters", () => {
    const buffer = new ArrayBuffer(controlBlockBytes(2));
    const words = new Int32Array(buffer);
    for (const thread of [0, 1]) {
      words[sleepingOffset(thread) / 4] = 1;
      const counters = new Counters(PROXY_COUNTERS, threadCounters(buffer, thread));
      for (const name of PROXY_COUNTERS) counters.add(name, thread + 1);
      for (const [index] of PROXY_HISTOGRAMS.entries())
        new Histogram(threadHistogram(buffer, thread, index)).add(thread + index, thread + 1);
      wantRoom(words, thread, 63);
      wantRoom(words, thread, 0);
    }
    for (const thread of [0, 1]) {
      const values = readCounters(PROXY_COUNTERS, threadCounters(buffer, thread));
      expect(new Set(Object.values(values))).toEqual(new Set([thread + 1]));
      for (const [index] of PROXY_HISTOGRAMS.entries()) {
        const reading = HistogramReading.sum([threadHistogram(buffer, thread, index)]);
        expect([reading.count, reading.sumMs]).toEqual([thread + 1, (thread + index) * (thread + 1)]);
      }
      expect(takeRoomWanted(words, thread)).toEqual([0, 63]);
      expect(takeRoomWanted(words, thread)).toEqual([]);
      expect(words[sleepingOffset(thread) / 4]).toBe(1);
    }
    expect(new Set(CACHE_COUNTERS).size).toBe(CACHE_COUNTERS.length);
  });
});

test("watchedParts() are all that a watcher looks at, and the last word: of one that is cut anywhere that is missing", () => {
  const threads = 3;
  const parts = watchedParts(threads);
  const isIn = (offset: number) =>
    parts.some((part) => offset >= part.offset && offset + 4 <= part.offset + part.bytes);
  const words = [beatWord("main"), ...[0, 1, 2].flatMap((thread) => [beatWord(thread), threadIdWord(thread)])];
  expect(words.filter((word) => !isIn(word * 4))).toEqual([]);
  expect([0, 60].every(isIn)).toBe(true); // the head
  expect(isIn(controlBlockBytes(threads) - 4)).toBe(true);
  expect(parts.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(1024);
});

test("readNotices() gives the transfers of its own life only", () => {
  const view = new DataView(new ArrayBuffer(512));
  const bytes = writeNotices(view, 9, [1, 0xffffffff, 3]);
  expect(readNotices(view, bytes, 9)).toEqual([1, 0xffffffff, 3]);
  expect(readNotices(view, bytes, 8)).toBeUndefined();
  expect(readNotices(view, 3, 9)).toBeUndefined();
  expect(readNotices(view, 5000, 9)).toBeUndefined();
});
