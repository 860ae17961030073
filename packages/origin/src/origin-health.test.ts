import { expect, test } from "bun:test";
import { OriginHealth } from "./origin-health.ts";

const RESTS = { firstMs: 1_000, maxMs: 4_000 };

test("OriginHealth rests longer with each failure in a row, and no longer than the most", () => {
  const health = new OriginHealth(RESTS);
  let nowMs = 0;
  expect(health.mayBeAsked(nowMs)).toBe(true);
  for (const restMs of [1_000, 2_000, 4_000, 4_000]) {
    expect(health.failed(nowMs)).toBe(restMs);
    expect(health.failed(nowMs + restMs - 1)).toBeUndefined(); // of what was under way when it failed
    expect(health.isResting(nowMs + restMs - 1)).toBe(true);
    expect(health.mayBeAsked(nowMs + restMs - 1)).toBe(false);
    nowMs += restMs;
    expect(health.isResting(nowMs)).toBe(false);
    expect(health.mayBeAsked(nowMs)).toBe(true);
  }
  expect(health.answered()).toBe(true);
  expect(health.answered()).toBe(false);
  expect(health.mayBeAsked(nowMs)).toBe(true);
  expect(health.failed(nowMs)).toBe(1_000);
});

test("OriginHealth lets one exchange at a time find out whether it is good again", () => {
  const health = new OriginHealth(RESTS);
  expect(health.asked(0)).toBe(false);
  health.failed(0);
  expect(health.asked(500)).toBe(false); // the least bad of several that all rest
  expect(health.asked(1_000)).toBe(true);
  expect(health.mayBeAsked(1_000)).toBe(false);
  expect(health.asked(1_000)).toBe(false);
  health.trialEnded();
  expect(health.mayBeAsked(1_000)).toBe(true);
  expect(health.asked(1_000)).toBe(true);
  expect(health.answered()).toBe(true);
  expect(health.mayBeAsked(1_000)).toBe(true);
  expect(health.asked(1_000)).toBe(false);
});
