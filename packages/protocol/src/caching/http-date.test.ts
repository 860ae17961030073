import { expect, test } from "bun:test";
import fc from "fast-check";
import { formatHttpDate, parseHttpDate } from "./http-date.ts";
import { check, fieldValue } from "./test-support.ts";

const NOW = Date.UTC(2026, 10, 22);
const EXAMPLE = Date.UTC(1994, 10, 6, 8, 49, 37);

test("parseHttpDate() reads the three forms of one time (RFC 9110 section 5.6.7)", () => {
  expect(parseHttpDate("Sun, 06 Nov 1994 08:49:37 GMT", NOW)).toBe(EXAMPLE);
  expect(parseHttpDate("Sunday, 06-Nov-94 08:49:37 GMT", NOW)).toBe(EXAMPLE);
  expect(parseHttpDate("Sun Nov  6 08:49:37 1994", NOW)).toBe(EXAMPLE);
  expect(parseHttpDate("Wed Nov 16 08:49:37 1994", NOW)).toBe(EXAMPLE + 10 * 86_400_000);
});

test("parseHttpDate() matches a date case-insensitively (RFC 9111 section 4.2)", () => {
  expect(parseHttpDate("SUN, 06 Nov 1994 08:49:37 GMT", NOW)).toBe(EXAMPLE);
  expect(parseHttpDate("Sun, 06 NOV 1994 08:49:37 gMT", NOW)).toBe(EXAMPLE);
  expect(parseHttpDate("sunday, 06-nov-94 08:49:37 gmt", NOW)).toBe(EXAMPLE);
  expect(parseHttpDate("sUN nOV  6 08:49:37 1994", NOW)).toBe(EXAMPLE);
});

test("parseHttpDate() takes a two-digit year that lies more than 50 years ahead for the past", () => {
  expect(parseHttpDate("Thursday, 18-Aug-50 02:01:18 GMT", NOW)).toBe(Date.UTC(2050, 7, 18, 2, 1, 18));
  expect(parseHttpDate("Sunday, 22-Nov-76 00:00:00 GMT", NOW)).toBe(Date.UTC(2076, 10, 22));
  expect(parseHttpDate("Monday, 22-Nov-76 00:00:01 GMT", NOW)).toBe(Date.UTC(1976, 10, 22, 0, 0, 1));
  expect(parseHttpDate("Friday, 01-Jan-10 00:00:00 GMT", Date.UTC(2090, 0, 1))).toBe(Date.UTC(2110, 0, 1));
});

test("parseHttpDate() knows months, leap years and the leap second", () => {
  expect(parseHttpDate("Thu, 29 Feb 2024 00:00:00 GMT", NOW)).toBe(Date.UTC(2024, 1, 29));
  expect(parseHttpDate("Wed, 29 Feb 2023 00:00:00 GMT", NOW)).toBeUndefined();
  expect(parseHttpDate("Fri, 31 Apr 2026 00:00:00 GMT", NOW)).toBeUndefined();
  expect(parseHttpDate("Sat, 31 Dec 2016 23:59:60 GMT", NOW)).toBe(Date.UTC(2017, 0, 1));
  expect(parseHttpDate("Mon, 01 Jan 0050 00:00:00 GMT", NOW)).toBe(Date.parse("0050-01-01T00:00:00Z"));
});

test.each([
  "",
  "0",
  "-1",
  "foo",
  "Thu, 18 Aug 2050 02:01:18 UTC",
  "Thu, 18 Aug 2050 02:01:18 AEST",
  "Thu, 18 Aug 50 02:01:18 GMT",
  "Thu 18 Aug 2050 02:01:18 GMT",
  "Thu, 18  Aug  2050 02:01:18 GMT",
  "Thu, 18-Aug-2050 02:01:18 GMT",
  "Thu, 18 Aug 2050 02.01.18 GMT",
  "Thu, 18 Aug 2050 2:01:18 GMT",
  "Thu, 18 Aug 2050 24:00:00 GMT",
  "Thu, 18 Aug 2050 02:60:00 GMT",
  "Thu, 00 Aug 2050 02:00:00 GMT",
  "Thu, 18 Aug 2050 02:01:18 GMT, Thu, 18 Aug 2050 02:01:18 GMT",
  " Thu, 18 Aug 2050 02:01:18 GMT",
  "Thu, 18 Foo 2050 02:01:18 GMT",
  "Thu Foo 18 02:01:18 2050",
  "Sunday, 31-Feb-94 08:49:37 GMT",
  "Sunday, 06-Nov-94 08:49:61 GMT",
  "2050-08-18T02:01:18Z",
])("parseHttpDate() does not read %p", (value) => {
  expect(parseHttpDate(value, NOW)).toBeUndefined();
});

test("parseHttpDate() gives back what formatHttpDate() wrote, to the second", () => {
  check(
    fc.property(fc.integer({ min: Date.UTC(1, 0, 1), max: Date.UTC(9999, 11, 31) }), (timeMs) => {
      expect(parseHttpDate(formatHttpDate(timeMs), NOW)).toBe(Math.floor(timeMs / 1000) * 1000);
    }),
  );
});

test("parseHttpDate() never throws", () => {
  const word = fc.constantFrom("Sun", ", ", "06", " Nov ", "1994", " 08:49:37", " GMT", "Sunday", "-", "99");
  check(
    fc.property(
      fc.oneof(
        fieldValue,
        fc.array(word).map((words) => words.join("")),
      ),
      (value) => {
        const timeMs = parseHttpDate(value, NOW);
        expect(timeMs === undefined || Number.isInteger(timeMs)).toBe(true);
      },
    ),
  );
});
