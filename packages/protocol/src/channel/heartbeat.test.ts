import { describe, expect, test } from "bun:test";
import { beatWord, controlBlockBytes, sleepingOffset, threadIdWord } from "./control-block.ts";
import { beat, HEARTBEAT_MS, SilenceWatch } from "./heartbeat.ts";

const THREADS = 3;

function newBlock(): Int32Array {
  return new Int32Array(controlBlockBytes(THREADS) / 4);
}

describe("beat()", () => {
  test("has a word of its own for each thread and for the main one", () => {
    const words = newBlock();
    const all = ["main", 0, 1, 2] as const;
    for (const [times, thread] of all.entries()) for (let count = 0; count <= times; count++) beat(words, thread);
    expect(all.map((thread) => words[beatWord(thread)])).toEqual([1, 2, 3, 4]);
    expect([0, 1, 2].map((thread) => words[sleepingOffset(thread) / 4])).toEqual([0, 0, 0]);
    expect([0, 1, 2].map((thread) => words[threadIdWord(thread)])).toEqual([0, 0, 0]);
  });

  test("never comes back to 0, which would say that the thread has not begun", () => {
    const words = newBlock();
    words[beatWord(0)] = -1;
    beat(words, 0);
    expect(words[beatWord(0)]).toBe(1);
    words[beatWord(0)] = 0x7fffffff;
    beat(words, 0);
    expect(words[beatWord(0)]).toBe(-0x80000000);
  });
});

describe("SilenceWatch", () => {
  test("counts the time since a thread's last beat, and no other thread's", () => {
    const words = newBlock();
    const watch = new SilenceWatch(THREADS);
    for (const thread of ["main", 0, 1] as const) beat(words, thread);
    for (let look = 0; look <= 10; look++) {
      beat(words, "main");
      if (look < 4) beat(words, 1);
      watch.look(words, look * HEARTBEAT_MS);
    }
    expect(watch.silentMs("main")).toBe(0);
    expect(watch.silentMs(0)).toBe(10 * HEARTBEAT_MS);
    expect(watch.silentMs(1)).toBe(7 * HEARTBEAT_MS);
    beat(words, 1);
    watch.look(words, 11 * HEARTBEAT_MS);
    expect(watch.silentMs(1)).toBe(0);
  });

  test("says nothing of a thread that has not begun", () => {
    const words = newBlock();
    const watch = new SilenceWatch(THREADS);
    for (let look = 0; look < 100; look++) watch.look(words, look * HEARTBEAT_MS);
    expect(watch.silentMs(2)).toBe(0);
  });

  test("a watcher that did not run for a while accuses nobody of that while", () => {
    const words = newBlock();
    const watch = new SilenceWatch(THREADS);
    beat(words, 0);
    watch.look(words, 0);
    watch.look(words, 30_000);
    expect(watch.silentMs(0)).toBe(HEARTBEAT_MS);
  });
});
