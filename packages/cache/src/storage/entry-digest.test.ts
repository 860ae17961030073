import { expect, test } from "bun:test";
import fc from "fast-check";
import { type KeySelector, keyMatch } from "../key-selector.ts";
import { digestHint, digestOf, mayBe, UNKNOWN_DIGEST } from "./entry-digest.ts";

const segment = fc.constantFrom("", "a", "b", "blog", "caf\u00e9", "x?y=", "?q", "%2f");
const target = fc.array(segment, { maxLength: 4 }).map((segments) => `/${segments.join("/")}`);
const key = fc
  .tuple(fc.constantFrom("http://h", "https://h:8443", "site|http://h"), target)
  .map((parts) => parts.join(""));
const tags = fc.array(fc.constantFrom("a", "b", "c", "product-1", "\u4e2d", ""), { maxLength: 5 });
const selector: fc.Arbitrary<KeySelector> = fc.oneof(
  fc.constantFrom("a", "b", "product-1", "\u4e2d").map((tag) => ({ by: "tag" as const, tag, before: "" })),
  fc.tuple(key, fc.nat(20)).map(([whole, cut]) => ({
    by: "prefix" as const,
    prefix: whole.slice(0, Math.max(whole.indexOf("/", whole.indexOf("://") + 3) + 1, whole.length - cut)),
  })),
  fc.constant({ by: "all" as const }),
);

test("a digest never hides a response from a purge that concerns it", () => {
  const seed = Date.now() % 2 ** 31;
  process.stdout.write(`seed ${seed}\n`);
  let concerned = 0;
  fc.assert(
    fc.property(key, tags, selector, (one, its, purge) => {
      if (!keyMatch(purge)(one, its)) return;
      concerned++;
      const hint = digestHint(purge);
      expect(hint === undefined || mayBe(hint, digestOf(one, its))).toBe(true);
    }),
    { seed, numRuns: 20_000 },
  );
  expect(concerned).toBeGreaterThan(1000);
});

test("most of what a purge does not concern is told by its digest; one that is unknown may be anything", () => {
  const hints = [
    digestHint({ by: "tag", tag: "t", before: "" })!,
    digestHint({ by: "prefix", prefix: "http://h/blog/" })!,
  ];
  for (const hint of hints) {
    const maybe = Array.from({ length: 1000 }, (_, item) =>
      mayBe(hint, digestOf(`http://h/${item}/x`, [`tag-${item}`, "s"])),
    );
    expect(maybe.filter(Boolean).length).toBeLessThan(100);
    expect(mayBe(hint, UNKNOWN_DIGEST)).toBe(true);
  }
  expect(digestHint({ by: "prefix", prefix: "http://h/blog" })).toBeUndefined();
  expect(digestHint({ by: "prefix", prefix: "http://h/" })).toBeUndefined();
});
