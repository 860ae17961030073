import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseList } from "structured-headers";
import { renderCacheStatus } from "./cache-status.ts";
import { check } from "./test-support.ts";

test("renderCacheStatus() says what became of a request (RFC 9211 section 2)", () => {
  expect(renderCacheStatus({ hit: true, ttlMs: 376_900 })).toBe("webproxy; hit; ttl=376");
  expect(renderCacheStatus({ hit: true, ttlMs: -500, detail: "stale-if-error" })).toBe(
    "webproxy; hit; ttl=-1; detail=stale-if-error",
  );
  expect(renderCacheStatus({ forwarded: "stale", forwardedStatus: 304, collapsed: true, stored: true })).toBe(
    "webproxy; fwd=stale; fwd-status=304; stored; collapsed",
  );
  expect(renderCacheStatus({ forwarded: "uri-miss", key: 'http://a/"\\' })).toBe(
    'webproxy; fwd=uri-miss; key="http://a/\\"\\\\"',
  );
  expect(renderCacheStatus({ hit: false, stored: false, collapsed: false })).toBe("webproxy");
});

test("renderCacheStatus() stands behind the caches nearer the origin", () => {
  expect(renderCacheStatus({ hit: true }, "origin-cache; hit; ttl=1")).toBe("origin-cache; hit; ttl=1, webproxy; hit");
  expect(renderCacheStatus({ hit: true }, "")).toBe("webproxy; hit");
});

test("renderCacheStatus() leaves out text that a String can not hold", () => {
  expect(renderCacheStatus({ hit: true, key: "a\nb" })).toBe("webproxy; hit");
  expect(renderCacheStatus({ hit: true, detail: "\x1b[31m" })).toBe("webproxy; hit");
  expect(renderCacheStatus({ hit: true, detail: "two words" })).toBe('webproxy; hit; detail="two words"');
});

test("renderCacheStatus() is always a List of RFC 9651 that holds what went in", () => {
  const status = fc.record(
    {
      hit: fc.constant(true),
      key: fc.string({ unit: "binary-ascii" }),
      detail: fc.string({ unit: "binary-ascii" }),
      ttlMs: fc.integer(),
    },
    { requiredKeys: [] },
  );
  check(
    fc.property(status, (given) => {
      const [member] = parseList(renderCacheStatus(given));
      const parameters = member![1] as Map<string, unknown>;
      expect(parameters.get("hit")).toBe(given.hit);
      const isString = /^[\x20-\x7e]*$/.test(given.key ?? "");
      expect(parameters.get("key")).toBe(isString ? given.key : undefined);
      if (given.ttlMs !== undefined) expect(parameters.get("ttl")).toBe(Math.floor(given.ttlMs / 1000));
    }),
  );
});
