import { describe, expect, test } from "bun:test";
import { parseRange, type RangeRequest } from "./range.ts";

const WHOLE: RangeRequest = { kind: "whole" };
const UNSATISFIABLE: RangeRequest = { kind: "unsatisfiable" };

describe("parseRange() of a file of 10 bytes", () => {
  const fields: readonly [string | null, RangeRequest][] = [
    [null, WHOLE],
    ["bytes=0-0", { kind: "range", offset: 0, length: 1 }],
    ["bytes=0-9", { kind: "range", offset: 0, length: 10 }],
    ["bytes=2-", { kind: "range", offset: 2, length: 8 }],
    ["bytes=2-99999999999999999999", { kind: "range", offset: 2, length: 8 }],
    ["Bytes= 2-3 ", { kind: "range", offset: 2, length: 2 }],
    ["bytes=-3", { kind: "range", offset: 7, length: 3 }],
    ["bytes=-99", { kind: "range", offset: 0, length: 10 }],
    ["bytes=-0", UNSATISFIABLE],
    ["bytes=10-", UNSATISFIABLE],
    ["bytes=10-20", UNSATISFIABLE],
    ["bytes=99999999999999999999-", UNSATISFIABLE],
    ["bytes=5-4", WHOLE],
    ["bytes=0-1,3-4", WHOLE],
    ["bytes=-", WHOLE],
    ["bytes=", WHOLE],
    ["bytes=a-b", WHOLE],
    ["bytes=+1-2", WHOLE],
    ["lines=1-2", WHOLE],
    ["", WHOLE],
  ];
  for (const [field, wanted] of fields) {
    test(`${field}`, () => expect(parseRange(field, 10)).toEqual(wanted));
  }
});

test("parseRange() finds no range in an empty file", () => {
  expect(parseRange("bytes=0-", 0)).toEqual(UNSATISFIABLE);
  expect(parseRange("bytes=-5", 0)).toEqual(UNSATISFIABLE);
});
