import { expect, test } from "bun:test";
import fc from "fast-check";
import { effectiveCacheControl, SURROGATE_CAPABILITY, SURROGATE_NAME } from "./targeted-cache-control.ts";
import { check, fieldsOf, fieldValue } from "./test-support.ts";

const effective = (...lines: string[]) => effectiveCacheControl(fieldsOf(...lines));

test("effectiveCacheControl() lets CDN-Cache-Control replace Cache-Control altogether (RFC 9213 section 2.2)", () => {
  const { source, control } = effective("Cache-Control: no-store, max-age=1", "CDN-Cache-Control: max-age=600");
  expect(source).toBe("cdn-cache-control");
  expect(control).toMatchObject({ maxAgeSeconds: 600, noStore: false });
});

test("effectiveCacheControl() reads every kind of member of a Dictionary", () => {
  const { control } = effective(
    'CDN-Cache-Control: no-cache="a, b";x=1, private, max-age=99999999999, foo=(1 2), none',
  );
  expect(control).toMatchObject({ noCache: false, private: true, maxAgeSeconds: 2 ** 31, withheldFields: ["a", "b"] });
  expect(effective("CDN-Cache-Control: max-age=0", "Cache-Control: max-age=9").control.maxAgeSeconds).toBe(0);
  expect(effective("CDN-Cache-Control: no-store=?0, max-age=5").control.noStore).toBe(false);
  expect(effective("CDN-Cache-Control: max-age=1, max-age=5").control.maxAgeSeconds).toBe(5); // RFC 9651: the last one
  expect(effective(`CDN-Cache-Control: max-age=5, foo="max-age=1.0"`).control.maxAgeSeconds).toBe(5);
});

test.each([
  "",
  "max-age=10000, &&&&&",
  'max-age="10000"',
  "max-age=1.5",
  "max-age=10.0",
  "public, s-maxage=10.0;x",
  "max-age=-1",
  "max-age",
  "MaX-aGe=3600",
  "max-age =100",
  "max-age= 100",
  "no-store=1",
  "private=5",
])("effectiveCacheControl() ignores CDN-Cache-Control: %p as if it were absent (RFC 9213 section 2.1)", (value) => {
  const { source, control } = effective(`CDN-Cache-Control: ${value}`, "Cache-Control: no-store");
  expect(source).toBe("cache-control");
  expect(control.noStore).toBe(true);
});

test("effectiveCacheControl() takes Surrogate-Control before Cache-Control, and after CDN-Cache-Control", () => {
  const surrogate = "Surrogate-Control: MaX-aGe=3600, foobar";
  expect(effective(surrogate, "Cache-Control: no-store")).toMatchObject({
    source: "surrogate-control",
    control: { maxAgeSeconds: 3600, noStore: false },
  });
  expect(effective(surrogate, "CDN-Cache-Control: max-age=1").control.maxAgeSeconds).toBe(1);
  expect(effective("Surrogate-Control: no-store", "Cache-Control: max-age=9").control).toMatchObject({ noStore: true });
});

test("effectiveCacheControl() takes what Surrogate-Control targets at us, and nothing targeted at others", () => {
  expect(SURROGATE_CAPABILITY.split("=")[0]).toBe(SURROGATE_NAME);
  expect(effective(`Surrogate-Control: max-age=1;other, max-age=9;${SURROGATE_NAME}`).control.maxAgeSeconds).toBe(9);
  expect(effective("Surrogate-Control: no-store;other", "Cache-Control: max-age=7")).toMatchObject({
    source: "cache-control",
    control: { maxAgeSeconds: 7 },
  });
});

test("effectiveCacheControl() leaves the decision to Cache-Control where Surrogate-Control says nothing about it", () => {
  expect(effective('Surrogate-Control: content="ESI/1.0"', "Cache-Control: no-store").control.noStore).toBe(true);
});

test("effectiveCacheControl() reads max-age=F+S of Surrogate-Control as fresh for F and usable stale for S", () => {
  expect(effective("Surrogate-Control: max-age=3600+600").control).toMatchObject({
    maxAgeSeconds: 3600,
    staleWhileRevalidateSeconds: 600,
  });
  expect(effective("Surrogate-Control: max-age =3600+600").control.maxAgeSeconds).toBe(0);
});

test("effectiveCacheControl() never throws", () => {
  check(
    fc.property(fieldValue, fieldValue, fieldValue, (a, b, c) => {
      const lines = [`CDN-Cache-Control: ${a}`, `Surrogate-Control: ${b}`, `Cache-Control: ${c}`];
      expect(effective(...lines).control).toBeDefined();
    }),
    2000,
  );
});
