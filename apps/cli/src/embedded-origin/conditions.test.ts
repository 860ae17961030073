import { describe, expect, test } from "bun:test";
import { evaluate, rangeApplies, type Verdict } from "./conditions.ts";

const AT = "Sun, 22 Nov 2026 10:00:00 GMT";
const BEFORE = "Sun, 22 Nov 2026 09:59:59 GMT";
const AFTER = "Sun, 22 Nov 2026 10:00:01 GMT";
const CURRENT = { etag: '"v1"', lastModifiedMs: Date.parse(AT) };

describe("evaluate()", () => {
  const cases: readonly [Record<string, string>, Verdict][] = [
    [{}, "go-on"],
    [{ "if-none-match": '"v1"' }, 304],
    [{ "if-none-match": 'W/"v1"' }, 304],
    [{ "if-none-match": '"v0", "v1"' }, 304],
    [{ "if-none-match": '"a,b","v1"' }, 304],
    [{ "if-none-match": "*" }, 304],
    [{ "if-none-match": '"v0"' }, "go-on"],
    [{ "if-none-match": "v1" }, "go-on"],
    [{ "if-none-match": '"v0"', "if-modified-since": AFTER }, "go-on"],
    [{ "if-modified-since": AT }, 304],
    [{ "if-modified-since": AFTER }, 304],
    [{ "if-modified-since": BEFORE }, "go-on"],
    [{ "if-modified-since": "yesterday" }, "go-on"],
    [{ "if-modified-since": "99999999999999" }, "go-on"],
    [{ "if-match": '"v1"' }, "go-on"],
    [{ "if-match": "*" }, "go-on"],
    [{ "if-match": 'W/"v1"' }, 412],
    [{ "if-match": '"v0"' }, 412],
    [{ "if-unmodified-since": AT }, "go-on"],
    [{ "if-unmodified-since": BEFORE }, 412],
    [{ "if-match": '"v1"', "if-unmodified-since": BEFORE }, "go-on"],
    [{ "if-match": '"v0"', "if-none-match": '"v1"' }, 412],
  ];
  for (const [fields, verdict] of cases) {
    test(`${JSON.stringify(fields)} is ${verdict}`, () => expect(evaluate(new Headers(fields), CURRENT)).toBe(verdict));
  }
});

test("rangeApplies() only to the very content that If-Range names", () => {
  const later = CURRENT.lastModifiedMs + 1000;
  expect(rangeApplies(null, CURRENT, later)).toBeTrue();
  expect(rangeApplies('"v1"', CURRENT, later)).toBeTrue();
  expect(rangeApplies('"v0"', CURRENT, later)).toBeFalse();
  expect(rangeApplies('W/"v1"', CURRENT, later)).toBeFalse();
  expect(rangeApplies(AT, CURRENT, later)).toBeTrue();
  expect(rangeApplies(AT, CURRENT, later - 1)).toBeFalse();
  expect(rangeApplies(AFTER, CURRENT, later)).toBeFalse();
  expect(rangeApplies("v1", CURRENT, later)).toBeFalse();
});
