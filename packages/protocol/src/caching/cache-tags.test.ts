import { expect, test } from "bun:test";
import fc from "fast-check";
import { cacheGroups, cacheTags, invalidatedGroups, TAGS_MAX } from "./cache-tags.ts";
import { check, fieldsOf, fieldValue } from "./test-support.ts";

test("cacheTags() reads Surrogate-Key by spaces, Cache-Tag by commas, Cache-Groups as Strings, each tag once", () => {
  const fields = fieldsOf(
    "Surrogate-Key: a  b\tc",
    "Cache-Tag: d, e f ,a",
    'Cache-Groups: "g", "d";x=1',
    "Surrogate-Key: h",
  );
  expect(cacheTags(fields)).toEqual(["a", "b", "c", "h", "d", "e f", "g"]);
  expect(cacheTags(fieldsOf("X: y"))).toEqual([]);
});

test("cacheGroups() and invalidatedGroups() ignore a field that is no List of Strings (RFC 9875)", () => {
  expect(cacheGroups(fieldsOf('Cache-Groups: "a"', 'Cache-Groups: "B"'))).toEqual(["a", "B"]);
  for (const value of ["", "a", '"a", b', '("a")', '"a', "1"])
    expect(cacheGroups(fieldsOf(`Cache-Groups: ${value}`))).toEqual([]);
  expect(invalidatedGroups(fieldsOf('Cache-Group-Invalidation: "eurovision"'))).toEqual(["eurovision"]);
});

test("cacheGroups() supports more than the 32 groups of 32 characters that RFC 9875 section 2 asks for, within limits", () => {
  const groups = Array.from({ length: 300 }, (_, i) => `${i}`.padStart(32, "g"));
  const value = groups.map((group) => `"${group}"`).join(", ");
  expect(cacheGroups(fieldsOf(`Cache-Groups: ${value}`))).toEqual(groups.slice(0, TAGS_MAX));
  expect(cacheTags(fieldsOf(`Cache-Tag: ${"x".repeat(1025)}, ${"y".repeat(1024)}`))).toEqual(["y".repeat(1024)]);
});

test("cacheTags() never throws, and has no empty tag and no double", () => {
  check(
    fc.property(fieldValue, fieldValue, fieldValue, (a, b, c) => {
      const tags = cacheTags(fieldsOf(`Surrogate-Key: ${a}`, `Cache-Tag: ${b}`, `Cache-Groups: ${c}`));
      expect(tags).not.toContain("");
      expect(new Set(tags).size).toBe(tags.length);
    }),
  );
});
