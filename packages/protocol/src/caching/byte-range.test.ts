import { expect, test } from "bun:test";
import fc from "fast-check";
import { type ByteRange, mergeRanges, missingRanges } from "./byte-range.ts";
import { check } from "./test-support.ts";

const range = fc
  .tuple(fc.nat(40), fc.integer({ min: 1, max: 12 }))
  .map(([start, length]) => ({ start, end: start + length }));

/** The positions that ranges cover, one by one: slow, and obviously right. */
function positions(ranges: readonly ByteRange[]): Set<number> {
  const covered = new Set<number>();
  for (const { start, end } of ranges) for (let at = start; at < end; at++) covered.add(at);
  return covered;
}

test("mergeRanges() joins what touches or overlaps, in order", () => {
  const ranges = [
    { start: 8, end: 9 },
    { start: 0, end: 2 },
    { start: 2, end: 4 },
    { start: 3, end: 5 },
    { start: 0, end: 1 },
  ];
  expect(mergeRanges(ranges)).toEqual([
    { start: 0, end: 5 },
    { start: 8, end: 9 },
  ]);
  expect(mergeRanges([])).toEqual([]);
});

test("missingRanges() gives what none of the held ranges covers", () => {
  const held = [
    { start: 6, end: 8 },
    { start: 2, end: 4 },
  ];
  expect(missingRanges(held, { start: 0, end: 10 })).toEqual([
    { start: 0, end: 2 },
    { start: 4, end: 6 },
    { start: 8, end: 10 },
  ]);
  expect(missingRanges(held, { start: 2, end: 4 })).toEqual([]);
  expect(missingRanges([], { start: 3, end: 5 })).toEqual([{ start: 3, end: 5 }]);
});

test("mergeRanges() and missingRanges() agree with counting positions one by one", () => {
  check(
    fc.property(fc.array(range, { maxLength: 8 }), range, (held, wanted) => {
      const merged = mergeRanges(held);
      expect(positions(merged)).toEqual(positions(held));
      merged.forEach((one, index) => {
        const next = merged[index + 1];
        if (next !== undefined) expect(one.end).toBeLessThan(next.start);
      });
      const missing = missingRanges(held, wanted);
      const expected = [...positions([wanted])].filter((at) => !positions(held).has(at));
      expect([...positions(missing)]).toEqual(expected);
      expect(missingRanges([...held, ...missing], wanted)).toEqual([]);
    }),
  );
});
