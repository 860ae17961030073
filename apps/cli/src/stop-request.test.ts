import { expect, test } from "bun:test";
import { aborted, hangupMeans, listenForStop } from "./stop-request.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

test("a SIGHUP that comes before anybody has said what it means is done once, when somebody does", () => {
  const { asked } = listenForStop();
  try {
    process.emit("SIGHUP");
    process.emit("SIGHUP");
    expect(asked.aborted).toBe(false);
    let times = 0;
    hangupMeans(() => times++);
    expect(times).toBe(1);
    process.emit("SIGHUP");
    expect(times).toBe(2);
    hangupMeans("stop");
    expect(asked.aborted).toBe(false);
    process.emit("SIGHUP");
    expect([times, asked.aborted]).toEqual([2, true]);
  } finally {
    for (const signal of SIGNALS) process.removeAllListeners(signal);
  }
});

test("listenForStop() takes a signal as a wish, one soon after as the same, a later one as insisting", async () => {
  let now = 0;
  const stop = listenForStop(() => now);
  try {
    expect([stop.asked.aborted, stop.insisted.aborted]).toEqual([false, false]);
    process.emit("SIGINT");
    now = 900;
    process.emit("SIGTERM");
    expect([stop.asked.aborted, stop.insisted.aborted]).toEqual([true, false]);
    now = 1100;
    process.emit("SIGINT");
    expect(stop.insisted.aborted).toBeTrue();
    await aborted(stop.insisted);
  } finally {
    for (const signal of SIGNALS) process.removeAllListeners(signal);
  }
});
