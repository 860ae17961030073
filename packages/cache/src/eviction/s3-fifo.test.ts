import { describe, expect, test } from "bun:test";
import { GhostTable } from "./ghost-table.ts";
import { S3Fifo } from "./s3-fifo.ts";

/** A cache of numbers, each of weight `weightOf(number)`, in the order of an S3Fifo. */
class NumberCache {
  readonly order: S3Fifo;
  readonly limit: number;
  readonly #slots = new Map<number, number>();
  readonly #numbers: number[] = [];
  readonly #weightOf: (number: number) => number;

  constructor(limit: number, weightOf: (number: number) => number = () => 1) {
    this.limit = limit;
    this.order = new S3Fifo(limit);
    this.#weightOf = weightOf;
  }

  /** True for a hit. */
  use(number: number): boolean {
    const slot = this.#slots.get(number);
    if (slot !== undefined) {
      this.order.touch(slot);
      return true;
    }
    while (this.order.weight + this.#weightOf(number) > this.limit) {
      const victim = this.order.evict();
      if (victim === undefined) return false;
      this.#slots.delete(this.#numbers[victim]!);
    }
    const taken = this.order.insert(Bun.hash.xxHash32(String(number)), this.#weightOf(number));
    this.#slots.set(number, taken);
    this.#numbers[taken] = number;
    return false;
  }

  has(number: number): boolean {
    return this.#slots.has(number);
  }
}

/** A generator of numbers in [0, 1) from a seed. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

describe("S3Fifo", () => {
  test("what is used only once goes first, in the order it came", () => {
    const cache = new NumberCache(100);
    for (let number = 0; number < 100; number++) cache.use(number);
    cache.use(100);
    cache.use(101);
    expect([cache.has(0), cache.has(1), cache.has(2), cache.has(101)]).toEqual([false, false, true, true]);
  });

  test("a scan ten times as large as the store leaves what was in use", () => {
    const cache = new NumberCache(1000);
    for (let round = 0; round < 3; round++) for (let number = 0; number < 500; number++) cache.use(number);
    for (let number = 10_000; number < 20_000; number++) cache.use(number);
    const kept = Array.from({ length: 500 }, (_, number) => cache.has(number)).filter(Boolean).length;
    expect(kept).toBe(500);
  });

  test("those that come back while they are remembered stay through the next scan", () => {
    const cache = new NumberCache(1000);
    const back = Array.from({ length: 50 }, (_, number) => number);
    for (const number of back) cache.use(number);
    for (let number = 10_000; number < 11_500; number++) cache.use(number);
    expect(back.filter((number) => cache.has(number))).toEqual([]);
    for (const number of back) cache.use(number);
    for (let number = 20_000; number < 22_000; number++) cache.use(number);
    expect(back.filter((number) => cache.has(number)).length).toBeGreaterThan(40);
  });

  test("one that is removed leaves nothing behind", () => {
    const order = new S3Fifo(100);
    const slot = order.insert(7, 60);
    order.remove(slot);
    expect([order.count, order.weight, order.evict()]).toEqual([0, 0, undefined]);
    expect(order.insert(7, 10)).toBe(slot);
  });

  test("an entry that may not go is passed over, and when none may, none goes", () => {
    const order = new S3Fifo(100);
    const slots = Array.from({ length: 10 }, (_, index) => order.insert(index, 10));
    expect(order.evict((slot) => slot === slots[6])).toBe(slots[6]);
    expect(order.evict(() => false)).toBeUndefined();
    expect([order.count, order.weight]).toEqual([9, 90]);
    expect(order.evict()).toBeDefined();
  });

  test("the weights add up, whatever is done (seeded)", () => {
    const seed = Math.floor(Math.random() * 2 ** 32);
    console.log(`S3Fifo weights: seed ${seed}`);
    const random = randomOf(seed);
    const order = new S3Fifo(50_000);
    const weights = new Map<number, number>();
    for (let step = 0; step < 50_000; step++) {
      const what = random();
      const [any] = weights.keys();
      if (what < 0.5) {
        const weight = Math.floor(random() * 900) + 1;
        while (order.weight + weight > 50_000) expect(weights.delete(order.evict()!)).toBe(true);
        weights.set(order.insert(Math.floor(random() * 5000), weight), weight);
      } else if (what < 0.8) {
        for (const slot of weights.keys()) if (random() < 0.02) order.touch(slot);
      } else if (what < 0.9 && any !== undefined) {
        order.remove(any);
        weights.delete(any);
      } else if (any !== undefined) {
        order.reweigh(any, 300);
        weights.set(any, 300);
        while (order.weight > 50_000) weights.delete(order.evict()!);
      }
      if (step % 500 !== 0) continue;
      expect(order.count).toBe(weights.size);
      expect(order.weight).toBe([...weights.values()].reduce((sum, weight) => sum + weight, 0));
    }
  });

  test("an entry costs less than 100 bytes, with all that is remembered of those that went", () => {
    const cache = new NumberCache(20_000);
    for (let number = 0; number < 120_000; number++) cache.use(number);
    expect(cache.order.count).toBe(20_000);
    expect(cache.order.byteLength / cache.order.count).toBeLessThan(100);
  });
});

describe("GhostTable", () => {
  test("remembers as many bytes as it may, the last that were added, and each once", () => {
    const ghosts = new GhostTable(1000);
    for (let index = 0; index < 5000; index++) ghosts.add(Bun.hash.xxHash32(String(index)), 1);
    const remembered = Array.from({ length: 5000 }, (_, index) => ghosts.take(Bun.hash.xxHash32(String(index))));
    expect(remembered.indexOf(true)).toBeGreaterThanOrEqual(4000);
    expect(remembered.filter(Boolean).length).toBeGreaterThan(960);
    expect(ghosts.take(Bun.hash.xxHash32("4999"))).toBe(false);
  });

  test("hashes that share their low bits find their place", () => {
    const ghosts = new GhostTable(4000);
    for (let index = 0; index < 4000; index++) ghosts.add((index * 4096) >>> 0, 1);
    const remembered = Array.from({ length: 4000 }, (_, index) => ghosts.take((index * 4096) >>> 0)).filter(Boolean);
    expect(remembered.length).toBeGreaterThan(3800);
  });
});
