import { describe, expect, test } from "bun:test";
import { HEARTBEAT_MS, type Side } from "@proj/protocol";
import { type ProcessFacts, type Silence, StallJudge, type Verdict } from "./stall-judge.ts";

const WELL: ProcessFacts = {
  isStopped: false,
  isServing: true,
  threads: 2,
  silences: [],
  loading: undefined,
  notBegun: undefined,
};

/** Looks every beat at a process of which `facts` holds, and at whose thread nothing moves: after how many milliseconds is it thought of as that? */
function after(side: Side, kind: Verdict["kind"], facts: Partial<ProcessFacts>, silence?: Partial<Silence>): number {
  const judge = new StallJudge(side);
  for (let ms = HEARTBEAT_MS; ms <= 60_000; ms += HEARTBEAT_MS) {
    const silences = silence === undefined ? [] : [silenceOf(ms, silence)];
    if (judge.judge({ ...WELL, silences, ...facts }).kind === kind) return ms;
  }
  return Number.POSITIVE_INFINITY;
}

function silenceOf(ownMs: number, silence: Partial<Silence>): Silence {
  return { thread: 0, waitsForDisk: false, diskMs: silence.waitsForDisk === true ? ownMs : 0, ...silence, ownMs };
}

describe("StallJudge.judge()", () => {
  test("takes a stopped proxy for hopeless soon, a stopped cache later, and both for silent at once", () => {
    for (const side of ["proxy", "cache"] as const)
      expect(after(side, "silent", { isStopped: true })).toBe(HEARTBEAT_MS);
    expect(after("proxy", "hopeless", { isStopped: true })).toBe(150);
    expect(after("cache", "hopeless", { isStopped: true })).toBe(2_000);
  });

  test("begins anew with a process that has gone on", () => {
    const judge = new StallJudge("proxy");
    expect(judge.judge({ ...WELL, isStopped: true }).kind).toBe("silent");
    expect(judge.judge(WELL)).toEqual({ kind: "well" });
    expect(judge.judge({ ...WELL, isStopped: true }).kind).toBe("silent");
  });

  test("a thread that serves is seen within a quarter of a second, and waited for less where nobody serves in its place", () => {
    expect(after("proxy", "silent", {}, {})).toBe(200);
    expect(after("proxy", "hopeless", {}, {})).toBe(1_000);
    expect(after("proxy", "hopeless", { threads: 1 }, {})).toBe(500);
    expect(after("cache", "hopeless", {}, {})).toBe(2_000);
    expect(after("cache", "hopeless", { threads: 1 }, {})).toBe(2_000);
  });

  test("a main thread, and a process that does not serve yet, have more time", () => {
    expect(after("proxy", "silent", {}, { thread: "main" })).toBe(200);
    expect(after("proxy", "hopeless", { threads: 1 }, { thread: "main" })).toBe(5_000);
    expect(after("cache", "silent", { isServing: false }, {})).toBe(Number.POSITIVE_INFINITY);
    expect(after("cache", "hopeless", { isServing: false }, {})).toBe(5_000);
  });

  test("a process that has not begun has still more, less what it waits for a processor or a disk", () => {
    const afterLoading = (diskMs: number, waitsForDisk: boolean) => {
      const judge = new StallJudge("cache");
      for (let ownMs = HEARTBEAT_MS; ownMs <= 60_000; ownMs += HEARTBEAT_MS) {
        const loading = { ownMs, diskMs, waitsForDisk };
        if (judge.judge({ ...WELL, isServing: false, threads: 0, loading }).kind === "hopeless") return ownMs;
      }
      return Number.POSITIVE_INFINITY;
    };
    expect([afterLoading(0, false), afterLoading(1_000, false), afterLoading(0, true)]).toEqual([
      15_000,
      16_000,
      Number.POSITIVE_INFINITY,
    ]);
    expect(after("proxy", "hopeless", { isServing: false, notBegun: 1 })).toBe(60_000);
  });

  test("a thread that waits for a disk is silent, and never hopeless", () => {
    expect(after("cache", "silent", {}, { waitsForDisk: true })).toBe(1_000);
    expect(after("cache", "hopeless", {}, { waitsForDisk: true })).toBe(Number.POSITIVE_INFINITY);
  });

  test("what a thread has waited for a disk is not held against it when it happens to be seen between two such waits", () => {
    expect(after("cache", "hopeless", {}, { diskMs: 900 })).toBe(2_900);
    expect(after("proxy", "hopeless", { threads: 1 }, { diskMs: 900 })).toBe(1_400);
  });

  test("says of which thread, and what is hopeless before what is silent", () => {
    const silences = [
      { thread: "main", ownMs: 1_200, diskMs: 0, waitsForDisk: false },
      { thread: 1, ownMs: 1_100, diskMs: 0, waitsForDisk: false },
    ] as const;
    expect(new StallJudge("proxy").judge({ ...WELL, silences })).toEqual({
      kind: "hopeless",
      why: "its thread 1 has not moved for 1.1 s",
    });
  });
});
