import { describe, expect, test } from "bun:test";
import { HotSample } from "./hot-sample.ts";

/** Serves so many hits between two looks, for so many looks; what the records say and how many there are. */
function serve(sample: HotSample, looks: number, hitsPerLook: number): { told: number; records: number } {
  let told = 0;
  let records = 0;
  for (let look = 0; look < looks; look++) {
    for (let hit = 0; hit < hitsPerLook; hit++) {
      const weight = sample.take();
      told += weight;
      if (weight > 0) records++;
    }
    sample.look();
  }
  return { told, records };
}

function seeded(): () => number {
  const seed = Math.floor(Math.random() * 2 ** 32);
  console.log(`hot sample: seed ${seed}`);
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

describe("HotSample", () => {
  test("takes every hit while they are few", () => {
    expect(serve(new HotSample(seeded()), 50, 10)).toEqual({ told: 500, records: 500 });
  });

  test("of very many takes few, whose weights tell how many they were", () => {
    const sample = new HotSample(seeded());
    serve(sample, 50, 20_000); // finds its rate
    const { told, records } = serve(sample, 500, 20_000);
    expect(records).toBeLessThan(500 * 30);
    expect(records).toBeGreaterThan(500 * 2);
    expect(Math.abs(told / 10_000_000 - 1)).toBeLessThan(0.15); // seven standard deviations and more
  });

  test("takes every hit again soon after they have become few, and tells rightly meanwhile", () => {
    const sample = new HotSample(seeded());
    serve(sample, 50, 20_000);
    serve(sample, 15, 5);
    expect(serve(sample, 10, 5)).toEqual({ told: 50, records: 50 });
  });

  test("a number of hits that changes all the time is told rightly on the whole", () => {
    const sample = new HotSample(seeded());
    let told = 0;
    let served = 0;
    for (let round = 0; round < 2000; round++) {
      const hits = [3, 4000, 200, 12_000, 60][round % 5]!;
      told += serve(sample, 1 + (round % 3), hits).told;
      served += hits * (1 + (round % 3));
    }
    expect(Math.abs(told / served - 1)).toBeLessThan(0.15);
  });
});
