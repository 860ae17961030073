import { expect, test } from "bun:test";
import { aborted, listenForStop } from "./stop-request.ts";

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
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.removeAllListeners(signal);
  }
});
