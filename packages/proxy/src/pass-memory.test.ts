import { describe, expect, test } from "bun:test";
import { bumpStripe, STRIPES, stripeOf, targetHash } from "@proj/protocol";
import { PassMemory } from "./pass-memory.ts";

const HASH = targetHash("/a");
const STRIPE = stripeOf(HASH);

describe("PassMemory", () => {
  test("a leave holds for its time", () => {
    const versions = new Int32Array(STRIPES);
    let nowMs = 0;
    const passes = new PassMemory(
      () => versions,
      () => nowMs,
    );
    expect(passes.has("/a")).toBe(false);
    passes.remember("/a", HASH, { version: 0, ms: 10 });
    nowMs = 9;
    expect(passes.has("/a")).toBe(true);
    nowMs = 10;
    expect(passes.has("/a")).toBe(false);
  });

  test("a leave ends with any change under its stripe, also one that came before it was heard of", () => {
    const versions = new Int32Array(STRIPES);
    const passes = new PassMemory(
      () => versions,
      () => 0,
    );
    passes.remember("/a", HASH, { version: 0, ms: 10 });
    bumpStripe(versions, STRIPE);
    expect(passes.has("/a")).toBe(false);
    passes.remember("/a", HASH, { version: 0, ms: 10 });
    expect(passes.has("/a")).toBe(false);
  });

  test("a leave ends when it is forgotten", () => {
    const versions = new Int32Array(STRIPES);
    const passes = new PassMemory(
      () => versions,
      () => 0,
    );
    passes.remember("/a", HASH, { version: 0, ms: 10 });
    passes.forget("/a");
    expect(passes.has("/a")).toBe(false);
  });

  test("a leave ends with the life of the cache that gave it", () => {
    let versions = new Int32Array(STRIPES);
    const passes = new PassMemory(
      () => versions,
      () => 0,
    );
    passes.remember("/a", HASH, { version: 0, ms: 10 });
    versions = new Int32Array(STRIPES);
    expect(passes.has("/a")).toBe(false);
  });
});
