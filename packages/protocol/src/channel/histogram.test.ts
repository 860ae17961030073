import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { HISTOGRAM_SLOTS, Histogram, HistogramReading } from "./histogram.ts";

function reading(durationsMs: readonly number[], weight = 1): HistogramReading {
  const slots = new Float64Array(HISTOGRAM_SLOTS);
  const histogram = new Histogram(slots);
  for (const ms of durationsMs) histogram.add(ms, weight);
  return HistogramReading.sum([slots]);
}

describe("Histogram", () => {
  test("tells a quantile to within a fifth of its value", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0.008, max: 60_000, noNaN: true }), { minLength: 1 }), (durations) => {
        const sorted = [...durations].sort((one, other) => one - other);
        for (const part of [0.5, 0.9, 0.99, 1]) {
          const exact = sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)]!;
          const told = reading(durations).quantileMs(part)!;
          // A bucket's bounds are whole µs; what falls into one may be told as either of them.
          expect(told).toBeLessThanOrEqual(exact * 1.25 + 0.001);
          expect(told).toBeGreaterThanOrEqual(exact * 0.8 - 0.001);
        }
      }),
    );
  });

  test("counts all, also what is out of every bound, and what a sample stands for", () => {
    const all = reading([0, 0.001, 0.5, 3, 1e6], 64);
    expect(all.count).toBe(5 * 64);
    expect(all.sumMs).toBeCloseTo((0.501 + 3 + 1e6) * 64);
    expect(reading([]).quantileMs(0.5)).toBeUndefined();
  });

  test("is cumulative at powers of two", () => {
    const points = reading([0.001, 0.008, 0.0159, 0.016, 1, 80_000]).cumulative();
    const at = (us: number) => points.find(({ leSeconds }) => leSeconds === us / 1e6)!.count;
    expect([at(8), at(16), at(32), at(512), at(1024), at(2 ** 26)]).toEqual([1, 3, 4, 4, 5, 5]);
    for (const [index, point] of points.entries())
      if (index > 0) expect(point.count).toBeGreaterThanOrEqual(points[index - 1]!.count);
  });

  test("gives what has come since, and a new life's from its beginning", () => {
    const before = reading([1, 2]);
    const after = reading([1, 2, 400]);
    expect(after.since(before).count).toBe(1);
    expect(after.since(before).quantileMs(0.5)).toBeGreaterThan(300);
    expect(before.since(after).count).toBe(2);
    expect(before.plus(after).count).toBe(5);
  });
});
