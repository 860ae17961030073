import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  ageFieldValue,
  currentAgeMs,
  freshnessLifetimeMs,
  freshnessOf,
  HEURISTIC_LIFETIME_MAX_MS,
  initialAgeMs,
  isFresh,
  isHeuristicallyCacheable,
  madeStale,
  mostRecent,
  ttlMs,
} from "./freshness.ts";
import { formatHttpDate } from "./http-date.ts";
import { check, fieldsOf, fieldValue, responseOf } from "./test-support.ts";

const NOW = Date.UTC(2026, 10, 22);
const at = (seconds: number) => formatHttpDate(NOW + seconds * 1000);
const lifetime = (...lines: string[]) => freshnessLifetimeMs(responseOf(200, ...lines), NOW) / 1000;

test("freshnessLifetimeMs() takes s-maxage, then max-age, then Expires (RFC 9111 section 4.2.1)", () => {
  const expires = `Expires: ${at(30)}`;
  expect(lifetime("Cache-Control: max-age=1, s-maxage=3600", expires)).toBe(3600);
  expect(lifetime("Cache-Control: max-age=3600, s-maxage=1", expires)).toBe(1);
  expect(lifetime("Cache-Control: max-age=10", expires)).toBe(10);
  expect(lifetime(expires)).toBe(30);
  expect(lifetime("Cache-Control: max-age=0", `Expires: ${at(3600)}`, `Date: ${at(0)}`)).toBe(0);
});

test("freshnessLifetimeMs() counts Expires from Date, and from the receipt where Date can not be read", () => {
  expect(lifetime(`Expires: ${at(300)}`, `Date: ${at(400)}`)).toBe(0);
  expect(lifetime(`Expires: ${at(300)}`, `Date: ${at(-100)}`)).toBe(400);
  expect(lifetime(`Expires: ${at(300)}`, "Date: foo")).toBe(300);
  expect(lifetime(`Expires: ${at(300)}`, `Date: ${at(-100)}`, `Date: ${at(-200)}`)).toBe(300);
});

test("freshnessLifetimeMs() takes an Expires that can not be read, or contradicts itself, for the past (section 5.3)", () => {
  for (const value of ["0", "", "-1", "foo"])
    expect(lifetime(`Expires: ${value}`, `Last-Modified: ${at(-1e6)}`)).toBe(0);
  expect(lifetime(`Expires: ${at(300)}`, `Expires: ${at(400)}`)).toBe(0);
  expect(lifetime(`Expires: ${at(300)}`, `Expires: ${at(300)}`)).toBe(300);
});

test("freshnessLifetimeMs() ignores Expires where a targeted field decides (RFC 9213 section 2.2)", () => {
  expect(lifetime("CDN-Cache-Control: none", `Expires: ${at(300)}`)).toBe(0);
  expect(lifetime("CDN-Cache-Control: max-age=5", `Expires: ${at(300)}`)).toBe(5);
  expect(lifetime("Surrogate-Control: max-age=5", "Expires: 0")).toBe(5);
});

test("freshnessLifetimeMs() guesses a tenth of the time since Last-Modified, a day at most (section 4.2.2)", () => {
  expect(lifetime(`Last-Modified: ${at(-3600)}`, `Date: ${at(0)}`)).toBe(360);
  expect(lifetime(`Last-Modified: ${at(-3600)}`)).toBe(360);
  expect(lifetime(`Last-Modified: ${at(-1e9)}`) * 1000).toBe(HEURISTIC_LIFETIME_MAX_MS);
  expect(lifetime(`Last-Modified: ${at(60)}`)).toBe(0);
  expect(lifetime("Last-Modified: foo")).toBe(0);
  expect(lifetime()).toBe(0);
});

test("freshnessLifetimeMs() guesses for the statuses of RFC 9110 section 15.1, for others when they are public", () => {
  const modified = `Last-Modified: ${at(-3600)}`;
  for (const status of [200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501]) {
    expect(freshnessLifetimeMs(responseOf(status, modified), NOW)).toBe(360_000);
  }
  for (const status of [201, 202, 302, 307, 400, 403, 416, 500, 502, 503, 504, 599]) {
    expect(isHeuristicallyCacheable(status)).toBe(false);
    expect(freshnessLifetimeMs(responseOf(status, modified), NOW)).toBe(0);
    expect(freshnessLifetimeMs(responseOf(status, modified, "Cache-Control: public"), NOW)).toBe(360_000);
  }
});

test("initialAgeMs() is the greater of Date's and Age's, with the time the exchange took (section 4.2.3)", () => {
  expect(initialAgeMs(fieldsOf(), NOW, NOW)).toBe(0);
  expect(initialAgeMs(fieldsOf(`Date: ${at(-7)}`), NOW, NOW)).toBe(7000);
  expect(initialAgeMs(fieldsOf(`Date: ${at(7)}`), NOW, NOW)).toBe(0);
  expect(initialAgeMs(fieldsOf(`Date: ${at(-7)}`, "Age: 30"), NOW - 2000, NOW)).toBe(32_000);
  expect(initialAgeMs(fieldsOf(`Date: ${at(-70)}`, "Age: 30"), NOW - 2000, NOW)).toBe(70_000);
  expect(initialAgeMs(fieldsOf("Age: 30"), NOW + 86_400_000, NOW)).toBe(30_000);
});

test.each([
  [["abc"], 0],
  [["-7200"], 0],
  [["7200.0"], 0],
  [["7200;foo=bar"], 0],
  [[""], 0],
  [["2147483649"], 2 ** 31],
  [["7200, 0"], 7200],
  [["0,7200"], 0],
  [["7200", "0"], 7200],
  [["0", "7200"], 0],
  [["abc, 7200"], 0],
])("initialAgeMs() reads Age: %p as %p s: the first value, if it is a number (section 5.1)", (values, seconds) => {
  expect(initialAgeMs(fieldsOf(...values.map((value) => `Age: ${value}`)), NOW, NOW)).toBe(seconds * 1000);
});

test("isFresh() ends when the age reaches the lifetime (section 4.2)", () => {
  const freshness = freshnessOf(responseOf(200, "Cache-Control: max-age=10", "Age: 4"), NOW, NOW);
  expect(isFresh(freshness, NOW + 5999)).toBe(true);
  expect(isFresh(freshness, NOW + 6000)).toBe(false);
  expect(ttlMs(freshness, NOW + 8000)).toBe(-2000);
  expect(ageFieldValue(freshness, NOW + 1999)).toBe("5");
});

test("madeStale() leaves nothing fresh, and what was stale as stale as it was", () => {
  const freshness = freshnessOf(responseOf(200, "Cache-Control: max-age=10, stale-while-revalidate=5"), NOW, NOW);
  expect(ttlMs(madeStale(freshness, NOW + 4000), NOW + 4000)).toBe(0);
  expect(ttlMs(madeStale(freshness, NOW + 4000), NOW + 5000)).toBe(-1000);
  expect(ttlMs(madeStale(freshness, NOW + 12_000), NOW + 12_000)).toBe(-2000);
});

test("freshness never grows with time, and a clock set back makes everything as much older (CHECKLIST 66)", () => {
  const line = fc.oneof(
    fc.nat(9999).map((seconds) => `Cache-Control: max-age=${seconds}`),
    fc.integer({ min: -9999, max: 9999 }).map((seconds) => `Expires: ${at(seconds)}`),
    fc.integer({ min: -9999, max: 9999 }).map((seconds) => `Last-Modified: ${at(seconds)}`),
    fc.integer({ min: -9999, max: 9999 }).map((seconds) => `Date: ${at(seconds)}`),
    fc.nat(9999).map((seconds) => `Age: ${seconds}`),
    fieldValue.map((value) => `Cache-Control: ${value}`),
    fieldValue.map((value) => `Expires: ${value}`),
  );
  const offset = fc.integer({ min: -20_000_000, max: 20_000_000 });
  check(
    fc.property(fc.array(line, { maxLength: 5 }), offset, fc.nat(20_000_000), (lines, first, later) => {
      const freshness = freshnessOf(responseOf(200, ...lines), NOW - 5, NOW);
      expect(freshness.lifetimeMs).toBeGreaterThanOrEqual(0);
      expect(freshness.initialAgeMs).toBeGreaterThanOrEqual(5);
      const then = NOW + first;
      expect(currentAgeMs(freshness, then)).toBeGreaterThanOrEqual(freshness.initialAgeMs);
      expect(currentAgeMs(freshness, NOW - later)).toBe(currentAgeMs(freshness, NOW + later));
      const since = Math.max(NOW, then);
      expect(ttlMs(freshness, since + later)).toBeLessThanOrEqual(ttlMs(freshness, since));
      if (!isFresh(freshness, since)) expect(isFresh(freshness, since + later)).toBe(false);
    }),
  );
});

test("mostRecent() goes by Date, then by when it was received (RFC 9111 section 4)", () => {
  const stored = (dateSeconds: number, receivedSeconds: number) => {
    const response = responseOf(200, `Date: ${at(dateSeconds)}`);
    const receivedMs = NOW + receivedSeconds * 1000;
    return { fields: response.fields, freshness: freshnessOf(response, receivedMs, receivedMs) };
  };
  const [older, newer, latest] = [stored(0, 20), stored(5, 10), stored(5, 15)];
  expect(mostRecent([])).toBeUndefined();
  expect(mostRecent([older])).toBe(older);
  expect(mostRecent([newer, older])).toBe(newer);
  expect(mostRecent([older, newer])).toBe(newer);
  expect(mostRecent([latest, newer, older])).toBe(latest);
  expect(mostRecent([newer, newer, older])).toBe(newer);
});
