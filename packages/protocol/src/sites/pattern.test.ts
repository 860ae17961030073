import { expect, test } from "bun:test";
import fc from "fast-check";
import { patternMatch } from "./pattern.ts";

test("patternMatch() takes a star for any run of characters, and everything else for itself", () => {
  const target = fc.string({ unit: fc.constantFrom("/", "a", "b", ".", "+", "("), maxLength: 20 });
  const pattern = fc.string({ unit: fc.constantFrom("*", "/", "a", "b", ".", "+", "("), maxLength: 10 });
  fc.assert(
    fc.property(pattern, target, (text, against) => {
      const escaped = text.replace(/[.+(]/g, "\\$&").replaceAll("*", ".*");
      expect(patternMatch(text)(against)).toBe(new RegExp(`^${escaped}$`).test(against));
    }),
    { numRuns: 5000 },
  );
});

test("CHECKLIST 29: a pattern made to be costly is done in a moment", () => {
  const matches = patternMatch(`${"*a".repeat(200)}*b`);
  const target = "a".repeat(60_000);
  for (let round = 0; round < 1000; round++) expect(matches(target)).toBe(false);
});
