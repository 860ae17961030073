import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  acceptsCoding,
  normalizeAcceptEncoding,
  normalizeAcceptLanguage,
  parsePreferences,
  prefersLanguage,
} from "./negotiation.ts";
import { check, fieldsOf, fieldValue } from "./test-support.ts";

test("parsePreferences() orders by weight, then by name (RFC 9110 section 12.4.2)", () => {
  expect(parsePreferences("gzip;q=0.5, br, *;q=0, zstd ; Q=0.501")).toEqual([
    { value: "br", weight: 1000 },
    { value: "zstd", weight: 501 },
    { value: "gzip", weight: 500 },
    { value: "*", weight: 0 },
  ]);
  expect(parsePreferences("a;q=1.000, a;q=0.2")).toEqual([{ value: "a", weight: 200 }]);
});

test.each([
  "gzip;q=2",
  "gzip;q=0.1234",
  "gzip;q=-1",
  "gzip;level=9",
  "gzip;q=1;x",
  "a b",
  '"gzip"',
  "gzip;",
  "gzip;q=",
])("parsePreferences() does not read %p", (value) => {
  expect(parsePreferences(value)).toBeUndefined();
});

test("normalizeAcceptEncoding() makes equal what means the same (RFC 9110 section 12.5.3)", () => {
  const same = ["gzip, br", "br,gzip", "BR , GZip;q=1", "gzip, br, deflate;q=0", "x-gzip, br"];
  expect(new Set(same.map(normalizeAcceptEncoding)).size).toBe(1);
  expect(normalizeAcceptEncoding("")).toBe(normalizeAcceptEncoding("identity"));
  expect(normalizeAcceptEncoding("gzip;q=0")).toBe(normalizeAcceptEncoding("identity"));
});

test("normalizeAcceptEncoding() keeps apart what means something else", () => {
  const different = ["gzip", "br", "gzip, br", "gzip, br;q=0.5", "identity", "*", "*, gzip;q=0", "gzip, identity;q=0"];
  expect(new Set(different.map(normalizeAcceptEncoding)).size).toBe(different.length);
  expect(normalizeAcceptEncoding("gzip;q=9")).toBeUndefined();
});

test("normalizeAcceptLanguage() ignores order, case and spacing of equally wanted languages only", () => {
  expect(normalizeAcceptLanguage("de, en")).toBe(normalizeAcceptLanguage(" EN ,De;q=1.0"));
  expect(normalizeAcceptLanguage("de, en")).not.toBe(normalizeAcceptLanguage("de, en;q=0.9"));
  expect(normalizeAcceptLanguage("de;q=0.8, en;q=0.9")).not.toBe(normalizeAcceptLanguage("de;q=0.9, en;q=0.8"));
});

test("normalizing gives the same for a value that comes again, also after a flood of others", () => {
  const first = normalizeAcceptLanguage("de, en");
  for (let i = 0; i < 1000; i++) expect(normalizeAcceptLanguage(`x${i}`)).toBe(`x${i};1000`);
  expect(normalizeAcceptLanguage("de, en")).toBe(first);
  const long = Array.from({ length: 100 }, (_, i) => `a${i}`).join(",");
  expect(normalizeAcceptLanguage(long)).toBe(normalizeAcceptLanguage(long));
});

test.each([
  [undefined, "gzip", true],
  ["gzip, br", "gzip", true],
  ["gzip, br", "GZIP", true],
  ["x-gzip", "gzip", true],
  ["gzip", "x-gzip", true],
  ["*", "zstd", true],
  ["gzip", "gzip, br", false],
  ["gzip, br", "gzip, br", true],
  ["identity", "gzip", false],
  ["", "gzip", false],
  ["gzip;q=0", "gzip", false],
  ["*;q=0", "br", false],
  ["gzip;q=0, *", "gzip", false],
  ["br", "gzip", false],
  ["nonsense;;", "gzip", false],
  ["identity", undefined, true],
  ["identity", "identity", true],
  ["identity", "x-unknown", true],
])("acceptsCoding(): Accept-Encoding %p of a body in %p: %p", (accept, coding, accepted) => {
  const request = accept === undefined ? fieldsOf() : fieldsOf(`Accept-Encoding: ${accept}`);
  const stored = coding === undefined ? fieldsOf() : fieldsOf(`Content-Encoding: ${coding}`);
  expect(acceptsCoding(request, stored)).toBe(accepted);
});

test("prefersLanguage() is true for what is wanted most and named exactly (RFC 9110 section 12.5.4)", () => {
  const request = fieldsOf("Accept-Language: fr;q=0.5, de;q=0.9, en-GB;q=0.9, *;q=0.9, it;q=0");
  expect(["de", "DE", "en-gb"].every((language) => prefersLanguage(request, language))).toBe(true);
  expect(["fr", "en", "de-AT", "it", "*x"].some((language) => prefersLanguage(request, language))).toBe(false);
  expect(prefersLanguage(fieldsOf(), "de")).toBe(false);
  expect(prefersLanguage(fieldsOf("Accept-Language: de;q=0"), "de")).toBe(false);
});

test("normalizing never throws, and refuses or is idempotent in meaning under reordering", () => {
  const member = fc.tuple(fc.constantFrom("a", "b", "gzip", "*"), fc.constantFrom("", ";q=0", ";q=0.5", ";q=1"));
  check(
    fc.property(fc.array(member, { maxLength: 5 }), fieldValue, (members, value) => {
      const rendered = members.map(([name, weight]) => name + weight);
      expect(normalizeAcceptEncoding(rendered.join(","))).toBe(
        normalizeAcceptEncoding(rendered.toReversed().join(" ,\t")),
      );
      expect(normalizeAcceptLanguage(rendered.join(","))).toBe(
        normalizeAcceptLanguage(rendered.toReversed().join(" , ")),
      );
      expect(() => [normalizeAcceptEncoding(value), normalizeAcceptLanguage(value)]).not.toThrow();
    }),
  );
});
