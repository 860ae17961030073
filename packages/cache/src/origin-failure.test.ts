import { expect, test } from "bun:test";
import { OriginError } from "@proj/origin";
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

test.each(["origin-refused", "origin-unconnected", "origin-certificate", "origin-closed", "origin-busy"] as const)(
  "refusalOf() of %p is just that",
  (fault) => {
    expect(refusalOf(new OriginError(fault, "told so", { headSeen: false }), undefined)).toBe(fault);
  },
);
