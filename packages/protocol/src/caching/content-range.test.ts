import { expect, test } from "bun:test";
import { parseContentRange, renderContentRange, renderUnsatisfiedRange } from "./content-range.ts";
import { fieldsOf } from "./test-support.ts";

const parse = (...values: string[]) => parseContentRange(fieldsOf(...values.map((value) => `Content-Range: ${value}`)));

test("parseContentRange() reads one range of a whole, known or not (RFC 9110 section 14.4)", () => {
  expect(parse("bytes 0-4/10")).toEqual({ start: 0, end: 5, completeBytes: 10 });
  expect(parse("bytes 9-9/10")).toEqual({ start: 9, end: 10, completeBytes: 10 });
  expect(parse("bytes 5-9/*")).toEqual({ start: 5, end: 10, completeBytes: undefined });
  expect(parse("Bytes 9007199254740990-9007199254740990/9007199254740991")?.end).toBe(Number.MAX_SAFE_INTEGER);
});

test.each([
  ...[
    "",
    "bytes 0-4",
    "bytes 4-0/10",
    "bytes 4-3/10",
    "bytes 0-10/10",
    "bytes */10",
    "bytes=0-4/10",
    "items 0-4/10",
    "bytes 0-4/10, x",
  ],
  ...["bytes -4/10", "bytes 0-/10", "bytes 0x0-4/10", "bytes 0-9007199254740991/*", "bytes 0-4/99999999999999999999"],
])("parseContentRange() does not read %p", (value) => {
  expect(parse(value)).toBeUndefined();
});

test("parseContentRange() believes none of two", () => {
  expect(parse("bytes 0-4/10", "bytes 0-4/10")).toBeUndefined();
  expect(parse()).toBeUndefined();
});

test("renderContentRange() writes what parseContentRange() reads", () => {
  expect(parse(renderContentRange({ start: 3, end: 7 }, 9))).toEqual({ start: 3, end: 7, completeBytes: 9 });
  expect(renderUnsatisfiedRange(10)).toBe("bytes */10");
});
