import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { purgeMatch } from "./purge.ts";

describe("purgeMatch()", () => {
  test("url, prefix, tag and all", () => {
    const url = purgeMatch({ by: "url", target: "/a?b" });
    expect([url("/a?b", []), url("/a", []), url("/a?bc", [])]).toEqual([true, false, false]);
    const prefix = purgeMatch({ by: "prefix", prefix: "/a/" });
    expect([prefix("/a/", []), prefix("/a/b", []), prefix("/a", [])]).toEqual([true, true, false]);
    const tag = purgeMatch({ by: "tag", tag: "red" });
    expect([tag("/", ["red", "blue"]), tag("/", ["Red"]), tag("/", [])]).toEqual([true, false, false]);
    expect(tag("/", undefined)).toBe(true); // not known yet: it may be
    expect(purgeMatch({ by: "all" })("/x", [])).toBe(true);
  });

  test("a pattern's star is any run of characters, and everything else stands for itself", () => {
    const target = fc.string({ unit: fc.constantFrom("/", "a", "b", ".", "+", "("), maxLength: 20 });
    const pattern = fc.string({ unit: fc.constantFrom("*", "/", "a", "b", ".", "+", "("), maxLength: 10 });
    fc.assert(
      fc.property(pattern, target, (text, against) => {
        const escaped = text.replace(/[.+(]/g, "\\$&").replaceAll("*", ".*");
        const expected = new RegExp(`^${escaped}$`).test(against);
        expect(purgeMatch({ by: "pattern", pattern: text })(against, [])).toBe(expected);
      }),
      { numRuns: 5000 },
    );
  });

  test("CHECKLIST 29: a pattern made to be costly is done in a moment", () => {
    const matches = purgeMatch({ by: "pattern", pattern: `${"*a".repeat(200)}*b` });
    const target = "a".repeat(60_000);
    for (let round = 0; round < 1000; round++) expect(matches(target, [])).toBe(false);
  });
});
