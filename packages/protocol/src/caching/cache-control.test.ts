import { expect, test } from "bun:test";
import fc from "fast-check";
import { Fields } from "../http1/fields.ts";
import { DELTA_SECONDS_MAX, NO_DIRECTIVES, parseCacheControl } from "./cache-control.ts";
import { check, fieldsOf, fieldValue } from "./test-support.ts";

const parse = (...values: string[]) => parseCacheControl(Fields.from(values.map((v) => ["Cache-Control", v] as const)));

test("parseCacheControl() of no field says nothing", () => {
  expect(parseCacheControl(fieldsOf("Pragma: no-cache"))).toBe(NO_DIRECTIVES);
});

test("parseCacheControl() knows every directive, in any case and on any line (RFC 9111 section 5.2)", () => {
  const control = parse(
    "MaX-aGe=1, s-maxage=2, NO-STORE, public, must-revalidate",
    "proxy-revalidate, must-understand",
  );
  expect(control).toMatchObject({ maxAgeSeconds: 1, sMaxAgeSeconds: 2, noStore: true, public: true });
  expect(control).toMatchObject({ mustRevalidate: true, proxyRevalidate: true, mustUnderstand: true });
  expect(parse("no-transform, immutable, stale-while-revalidate=3, stale-if-error=4")).toMatchObject({
    noTransform: true,
    immutable: true,
    staleWhileRevalidateSeconds: 3,
    staleIfErrorSeconds: 4,
  });
  expect(parse("max-stale=5, min-fresh=6, only-if-cached, no-cache, private")).toMatchObject({
    maxStaleSeconds: 5,
    minFreshSeconds: 6,
    onlyIfCached: true,
    noCache: true,
    private: true,
  });
  expect(parse("foo, bar=1, max-age=9").maxAgeSeconds).toBe(9);
});

test("parseCacheControl() takes a quoted number, and leading zeros (RFC 9111 section 5.2)", () => {
  expect(parse('max-age="3600"').maxAgeSeconds).toBe(3600);
  expect(parse('max-age="36\\00"').maxAgeSeconds).toBe(3600);
  expect(parse("max-age=003600").maxAgeSeconds).toBe(3600);
});

test("parseCacheControl() reads an overflowing number as 2^31 (RFC 9111 section 1.2.2)", () => {
  expect(parse("max-age=2147483649").maxAgeSeconds).toBe(DELTA_SECONDS_MAX);
  expect(parse(`s-maxage=${"9".repeat(400)}`).sMaxAgeSeconds).toBe(DELTA_SECONDS_MAX);
});

test.each([
  "max-age",
  "max-age=",
  "max-age=-3600",
  "max-age=+3600",
  "max-age=3600.0",
  "max-age='3600'",
  "max-age=3600a",
  "max-age=a3600",
  "max-age=0x10",
  "max-age =3600",
  "max-age= 3600",
  "max-age=3600;x",
  'max-age="3600',
  'max-age="',
  'max-age="3600"0',
  "max-age=3600 no-transform",
  "max-age=3600 60",
  "max-age==3600",
])("parseCacheControl() reads the unreadable lifetime in %p as 0 (RFC 9111 section 4.2.1)", (value) => {
  expect(parse(value).maxAgeSeconds).toBe(0);
});

test("parseCacheControl() counts the shorter of two lifetimes, on one line or two (RFC 9111 section 4.2.1)", () => {
  expect(parse("max-age=1800, max-age=1").maxAgeSeconds).toBe(1);
  expect(parse("max-age=1", "max-age=1800").maxAgeSeconds).toBe(1);
  expect(parse("max-age=1800, max-age=x").maxAgeSeconds).toBe(0);
  expect(parse("min-fresh=1, min-fresh=5").minFreshSeconds).toBe(5);
});

test("parseCacheControl() finds no directive inside a quoted-string", () => {
  const control = parse('extension="max-age=3600, no-store, \\", private"');
  expect(control).toEqual({ ...NO_DIRECTIVES, withheldFields: [] });
  expect(parse('extension="max-age=3600", max-age=1').maxAgeSeconds).toBe(1);
});

test("parseCacheControl() still restricts where the syntax is broken, and permits nothing there", () => {
  expect(parse('extension="a, no-store').noStore).toBe(true);
  expect(parse('extension="no-store').noStore).toBe(true);
  expect(parse('extension="a, no-store, b="c"').noStore).toBe(true);
  expect(parse('extension="a', 'no-store, b="c"').noStore).toBe(true);
  expect(parse('extension="a, max-age=3600').maxAgeSeconds).toBe(0);
  expect(parse('extension="a, public').public).toBe(false);
  expect(parse("no-cache no-store private")).toMatchObject({ noCache: true, noStore: true, private: true });
  expect(parse("no-store;x")).toMatchObject({ noStore: true });
  expect(parse("no-store=1")).toMatchObject({ noStore: true });
});

test("parseCacheControl() reads max-stale without a value as any, and an unreadable one as none", () => {
  expect(parse("max-stale").maxStaleSeconds).toBe(Number.POSITIVE_INFINITY);
  expect(parse("max-stale, max-stale=5").maxStaleSeconds).toBe(5);
  expect(parse("max-stale=x").maxStaleSeconds).toBe(0);
  expect(parse("min-fresh=x").minFreshSeconds).toBe(DELTA_SECONDS_MAX);
});

test("parseCacheControl() takes qualified no-cache and private for the named fields only (sections 5.2.2.4, 5.2.2.7)", () => {
  expect(parse('no-cache="A, set-cookie", private=X-User')).toMatchObject({
    noCache: false,
    private: false,
    withheldFields: ["a", "set-cookie", "x-user"],
  });
  expect(parse('private="a", private')).toMatchObject({ private: true, withheldFields: ["a"] });
});

test.each([
  'private=""',
  'private="a b"',
  'private="a',
  'private="Vary"',
  'private="x, content-type"',
  'private = "a"',
])(
  "parseCacheControl() takes %p for the whole response: the list is in doubt, or reuse relies on what it names",
  (value) => {
    expect(parse(value)).toMatchObject({ private: true, withheldFields: [] });
  },
);

test("parseCacheControl() never throws, and all of its numbers are in range", () => {
  const directive = fc.constantFrom(
    "max-age=1",
    "no-store",
    'private="a"',
    "max-stale",
    "s-maxage",
    '"',
    "=",
    ";",
    ",",
  );
  check(
    fc.property(fc.array(fc.oneof(fieldValue, directive), { maxLength: 8 }), (parts) => {
      for (const value of Object.values(parse(...parts, parts.join(",")))) {
        if (typeof value === "number" && value !== Number.POSITIVE_INFINITY) {
          expect(Number.isInteger(value) && value >= 0 && value <= DELTA_SECONDS_MAX).toBe(true);
        }
      }
    }),
  );
});

test("parseCacheControl() holds on to no-store, whatever stands on other lines or behind it", () => {
  check(
    fc.property(fieldValue, fieldValue, (before, after) => {
      expect(parse(`no-store, ${before}`).noStore).toBe(true);
      expect(parse(before, "no-store", after).noStore).toBe(true);
    }),
  );
});

test("parseCacheControl() lengthens no lifetime when directives are added", () => {
  check(
    fc.property(fc.nat(), fieldValue, (seconds, more) => {
      const alone = parse(`max-age=${seconds}`).maxAgeSeconds ?? 0;
      expect(parse(`max-age=${seconds}`, more).maxAgeSeconds ?? 0).toBeLessThanOrEqual(alone);
    }),
  );
});

test("parseCacheControl() reads a megabyte of quotes once, not once for each", () => {
  const control = parse(`${'a="'.repeat(300_000)}, no-store`);
  expect(control.noStore).toBe(true);
});
