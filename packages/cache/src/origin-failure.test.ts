import { expect, test } from "bun:test";
import { OriginError, type OriginErrorCode } from "@proj/origin";
import { formatHttpDate } from "@proj/protocol";
import { quietMs, refusalOf } from "./origin-failure.ts";

const NOW = Date.UTC(2026, 10, 27, 12);

test.each([
  [undefined, 2_000],
  ["0", 2_000],
  ["7", 7_000],
  ["86400", 30_000],
  ["-5", 2_000],
  ["soon", 2_000],
  [formatHttpDate(NOW + 12_000), 12_000],
  [formatHttpDate(NOW + 3_600_000), 30_000],
  [formatHttpDate(NOW - 3_600_000), 2_000],
] as const)("quietMs() of Retry-After %p is %d ms", (retryAfter, expected) => {
  expect(quietMs(retryAfter, NOW)).toBe(expected);
});

test.each([
  ["ERR_ORIGIN_CONNECT", "ECONNREFUSED", "origin-refused"],
  ["ERR_ORIGIN_CONNECT", "ENOTFOUND", "origin-unknown"],
  ["ERR_ORIGIN_CONNECT", "ENETUNREACH", "origin-error"],
  ["ERR_ORIGIN_CONNECT", undefined, "origin-error"],
  ["ERR_ORIGIN_TLS", undefined, "origin-tls"],
  ["ERR_ORIGIN_TIMEOUT", undefined, "origin-timeout"],
  ["ERR_ORIGIN_CUT_SHORT", undefined, "cut-short"],
  ["ERR_ORIGIN_MALFORMED", undefined, "origin-malformed"],
  ["ERR_ORIGIN_POOL_FULL", undefined, "overloaded"],
] as const)("refusalOf() of %p with %p is %p", (code: OriginErrorCode, cause, expected) => {
  const error = new OriginError(code, "told so", {
    headSeen: false,
    cause: cause === undefined ? undefined : Object.assign(new Error(cause), { code: cause }),
  });
  expect(refusalOf(error, undefined)).toBe(expected);
});
