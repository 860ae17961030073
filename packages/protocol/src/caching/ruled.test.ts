/** What an operator's rule about freshness does, and what it does not. */
import { describe, expect, test } from "bun:test";
import { Fields } from "../http1/fields.ts";
import { NO_DIRECTIVES } from "./cache-control.ts";
import { freshnessOf, ttlMs } from "./freshness.ts";
import { reuse, reuseOnError } from "./reuse.ts";
import { storable } from "./storable.ts";
import { variantOf } from "./vary.ts";

const NOW = Date.UTC(2026, 10, 27);
const GET = { method: "GET", fields: new Fields() };
const response = (fields: [string, string][], status = 200) => ({ status, fields: Fields.from(fields) });

describe("a rule's ttl", () => {
  test("counts from arrival, in place of what the origin says", () => {
    for (const value of ["max-age=5", "s-maxage=5", "max-age=999999", "max-age=0"]) {
      const freshness = freshnessOf(
        response([
          ["Cache-Control", value],
          ["Age", "50"],
        ]),
        NOW,
        NOW,
        { ttlSeconds: 60 },
      );
      expect([freshness.basis, ttlMs(freshness, NOW)]).toEqual(["rule", 60_000]);
    }
    const old = freshnessOf(response([["Expires", "Thu, 01 Jan 1970 00:00:00 GMT"]]), NOW, NOW, { ttlSeconds: 60 });
    expect(ttlMs(old, NOW + 59_000)).toBe(1_000);
  });

  test("is not for errors", () => {
    for (const status of [404, 410, 500, 503, 302]) {
      const fields: [string, string][] = [["Cache-Control", "max-age=5"]];
      expect(ttlMs(freshnessOf(response(fields, status), NOW, NOW, { ttlSeconds: 60 }), NOW)).toBe(5_000);
    }
    expect(storable(GET, response([], 500), { ttlSeconds: 60 })).toEqual({ storable: false, reason: "no-freshness" });
  });

  test("makes storable what says nothing, and nothing that is forbidden (CHECKLIST 34)", () => {
    const rule = { ttlSeconds: 60 };
    expect(storable(GET, response([]))).toEqual({ storable: false, reason: "never-reusable" });
    expect(storable(GET, response([]), rule)).toEqual({ storable: true });
    expect(storable(GET, response([["Cache-Control", "max-age=0"]]), rule)).toEqual({ storable: true });
    for (const value of ["no-store", "private", "private, max-age=60"])
      expect(storable(GET, response([["Cache-Control", value]]), rule).storable).toBe(false);
    const authorized = { method: "GET", fields: Fields.from([["Authorization", "Basic x"]]) };
    expect(storable(authorized, response([]), rule)).toEqual({ storable: false, reason: "authorization" });
    expect(storable(GET, response([["Vary", "*"]]), rule).storable).toBe(false);
    expect(storable({ method: "POST", fields: new Fields() }, response([]), rule).storable).toBe(false);
  });

  test("does not hand one client's cookie to all, unless the origin itself lets the response be shared", () => {
    const rule = { ttlSeconds: 60 };
    const withCookie = (value: string) =>
      response([
        ["Set-Cookie", "a=b"],
        ["Cache-Control", value],
      ]);
    for (const value of ["max-age=0", "", "no-transform"])
      expect(storable(GET, withCookie(value), rule)).toEqual({ storable: false, reason: "set-cookie" });
    for (const value of ["max-age=60", "public", "s-maxage=1"])
      expect(storable(GET, withCookie(value), rule).storable).toBe(true);
    expect(storable(GET, withCookie("max-age=0, stale-while-revalidate=9")).storable).toBe(true);
  });

  test("does not take back that the origin wants to be asked", () => {
    const freshness = freshnessOf(response([["Cache-Control", "no-cache"]]), NOW, NOW, { ttlSeconds: 60 });
    expect(reuse(freshness, NO_DIRECTIVES, NOW)).toMatchObject({ use: "validate", reason: "no-cache" });
  });
});

describe("a rule's stale windows", () => {
  const rule = { staleWhileRevalidateSeconds: 30, staleIfErrorSeconds: 100 };
  const at = (value: string, seconds: number) => {
    const freshness = freshnessOf(response([["Cache-Control", value]]), NOW, NOW, rule);
    const later = NOW + seconds * 1000;
    return [
      reuse(freshness, NO_DIRECTIVES, later).use,
      reuseOnError(freshness, NO_DIRECTIVES, { kind: "unreachable" }, later).use,
    ];
  };

  test("stand in place of the origin's", () => {
    for (const value of ["max-age=10", "s-maxage=10", "max-age=10, stale-while-revalidate=0, stale-if-error=0"]) {
      expect(at(value, 5)).toEqual(["fresh", "stale"]);
      expect(at(value, 39)).toEqual(["stale", "stale"]);
      expect(at(value, 41)).toEqual(["validate", "stale"]);
      expect(at(value, 111)).toEqual(["validate", "error"]);
    }
  });

  test("yield to must-revalidate and its kin", () => {
    for (const value of ["max-age=10, must-revalidate", "max-age=10, proxy-revalidate"])
      expect(at(value, 20)).toEqual(["validate", "error"]);
  });
});

test("names that a rule adds count as if Vary had them", () => {
  const request = Fields.from([["X-Plan", "gold"]]);
  const variant = variantOf(request, Fields.from([["Vary", "Accept"]]), ["x-plan"]);
  expect(variant?.varyNames).toEqual(["accept", "x-plan"]);
  expect(variantOf(Fields.from([["X-Plan", "tin"]]), new Fields(), ["x-plan"])?.varyKey).not.toBe(
    variantOf(request, new Fields(), ["x-plan"])?.varyKey,
  );
});
