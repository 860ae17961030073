import { expect, test } from "bun:test";
import fc from "fast-check";
import { Frequent } from "./frequent.ts";

test("Frequent never says too much, nor too little by more than its error, whatever the stream", () => {
  const item = fc.tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 1, max: 1000 }));
  fc.assert(
    fc.property(fc.array(item, { maxLength: 400 }), fc.integer({ min: 2, max: 30 }), (stream, capacity) => {
      const exact = new Map<string, number>();
      const frequent = new Frequent(capacity);
      let total = 0;
      for (const [number, weight] of stream) {
        const key = String(number);
        exact.set(key, (exact.get(key) ?? 0) + weight);
        frequent.add(key, weight);
        total += weight;
      }
      const told = new Map(frequent.entries());
      expect(told.size).toBeLessThanOrEqual(capacity);
      for (const [key, weight] of exact) {
        expect(told.get(key) ?? 0).toBeLessThanOrEqual(weight);
        expect((told.get(key) ?? 0) + frequent.error).toBeGreaterThanOrEqual(weight);
      }
      // Each step takes the median off more than half of the keys.
      expect(frequent.error * (capacity / 2)).toBeLessThanOrEqual(total);
    }),
  );
});

test("Frequent finds the few that matter among very many", () => {
  const frequent = new Frequent(200);
  for (let index = 0; index < 100_000; index++) {
    frequent.add(`rare-${index}`, 1);
    if (index % 10 === 0) frequent.add("often", 1);
    if (index % 20 === 0) frequent.add("sometimes", 1);
  }
  const top = [...frequent.entries()].sort(([, one], [, other]) => other - one).map(([key]) => key);
  expect(top.slice(0, 2)).toEqual(["often", "sometimes"]);
});
