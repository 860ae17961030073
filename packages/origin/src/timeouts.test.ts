import { expect, test } from "bun:test";
import { DEFAULT_TIMEOUTS, Deadlines, tickMs } from "./timeouts.ts";

test("tickMs() is an eighth of the shortest time-out, from 5 to 250 ms", () => {
  expect(tickMs(DEFAULT_TIMEOUTS)).toBe(250);
  expect(tickMs({ ...DEFAULT_TIMEOUTS, idleMs: 400 })).toBe(50);
  expect(tickMs({ ...DEFAULT_TIMEOUTS, idleMs: 1 })).toBe(5);
});

test("Deadlines.after() is over once as many whole ticks have passed, whatever part of one was over already", () => {
  const deadlines = new Deadlines(10);
  for (const [ms, ticks] of [
    [0, 1],
    [1, 2],
    [10, 2],
    [11, 3],
    [95, 11],
  ] as const) {
    const deadline = deadlines.after(ms);
    for (let passed = 0; passed < ticks; passed++) {
      expect(deadlines.isOver(deadline)).toBe(false);
      deadlines.tick();
    }
    expect(deadlines.isOver(deadline)).toBe(true);
    // The first of them may have been about to pass: the others are whole.
    expect((ticks - 1) * 10).toBeGreaterThanOrEqual(ms);
  }
});
