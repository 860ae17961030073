import { describe, expect, test } from "bun:test";
import { bumpStripe, STRIPES, stripeOf, targetHash } from "@proj/protocol";
import { AbsentTargets } from "./absent-targets.ts";

const SITE = 0;

describe("AbsentTargets", () => {
  test("what was told to the cache is absent until something may have arrived under its stripe", () => {
    const arrivals = new Int32Array(STRIPES);
    const absent = new AbsentTargets(() => arrivals);
    expect(absent.has(SITE, "/a")).toBe(false);
    absent.remember(SITE, "/a", absent.arrivalsOf("/a"));
    expect(absent.has(SITE, "/a")).toBe(true);
    expect(absent.has(SITE, "/b")).toBe(false);
    expect(absent.has(SITE + 1, "/a")).toBe(false);
    bumpStripe(arrivals, stripeOf(targetHash("/a")));
    expect(absent.has(SITE, "/a")).toBe(false);
  });

  test("what began to arrive while the cache was being told is not overlooked", () => {
    const arrivals = new Int32Array(STRIPES);
    const absent = new AbsentTargets(() => arrivals);
    const before = absent.arrivalsOf("/a");
    bumpStripe(arrivals, stripeOf(targetHash("/a")));
    absent.remember(SITE, "/a", before);
    expect(absent.has(SITE, "/a")).toBe(false);
  });

  test("another life of the cache may hold what a former one had on disk", () => {
    let arrivals = new Int32Array(STRIPES);
    const absent = new AbsentTargets(() => arrivals);
    absent.remember(SITE, "/a", absent.arrivalsOf("/a"));
    arrivals = new Int32Array(STRIPES);
    expect(absent.has(SITE, "/a")).toBe(false);
  });

  test("many are remembered, not all", () => {
    const arrivals = new Int32Array(STRIPES);
    const absent = new AbsentTargets(() => arrivals);
    for (let number = 0; number < 20_000; number++) absent.remember(SITE, `/${number}`, 0);
    expect(absent.has(SITE, "/0")).toBe(false);
    expect(absent.has(SITE, "/19999")).toBe(true);
  });
});
