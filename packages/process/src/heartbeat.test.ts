import { expect, test } from "bun:test";
import { everyBeat } from "./heartbeat.ts";

test("everyBeat() calls each what it is for with its beats until it is stopped, also from within a call", async () => {
  const counts = { each: 0, third: 0, once: 0 };
  const { promise, resolve } = Promise.withResolvers<void>();
  const once = everyBeat(() => {
    counts.once++;
    once.stop();
  });
  const third = everyBeat(() => {
    if (++counts.third === 3) resolve();
  }, 3);
  const each = everyBeat(() => counts.each++);
  await promise;
  each.stop();
  third.stop();
  expect(counts.once).toBe(1);
  expect(counts.third).toBe(3);
  // The third call of every third beat is the seventh, eighth or ninth beat since.
  expect([6, 7, 8, 9]).toContain(counts.each);
  const before = { ...counts };
  const { promise: later, resolve: ring } = Promise.withResolvers<void>();
  const again = everyBeat(ring);
  await later;
  again.stop();
  expect(counts).toEqual(before);
});
