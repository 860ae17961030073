import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseCacheControl } from "./cache-control.ts";
import { freshnessOf, ttlMs } from "./freshness.ts";
import { forbidsStale, type OriginFailure, reuse, reuseOnError } from "./reuse.ts";
import { check, fieldsOf, responseOf } from "./test-support.ts";

const NOW = Date.UTC(2026, 10, 22);
const stored = (control: string) => freshnessOf(responseOf(200, `Cache-Control: ${control}`), NOW, NOW);
const asking = (control?: string) =>
  parseCacheControl(control === undefined ? fieldsOf() : fieldsOf(`Cache-Control: ${control}`));
const after = (seconds: number) => NOW + seconds * 1000;

/** What becomes of a response stored with `response` for a request with `request`, `seconds` later. */
function decide(response: string, request: string | undefined, seconds: number): string {
  const { use, ...rest } = reuse(stored(response), asking(request), after(seconds));
  return "reason" in rest ? `${use}: ${rest.reason}` : use;
}

test.each([
  // RFC 9111 section 4.2
  ["max-age=10", undefined, 9, "fresh"],
  ["max-age=10", undefined, 10, "validate: stale"],
  ["max-age=10, must-revalidate", undefined, 9, "fresh"],
  // section 5.2.2.4
  ["max-age=10, no-cache", undefined, 1, "validate: no-cache"],
  ['max-age=10, no-cache="a"', undefined, 1, "fresh"],
  // section 5.2.1.4
  ["max-age=10", "no-cache", 1, "validate: request-no-cache"],
  ["max-age=10, immutable", "no-cache", 1, "validate: request-no-cache"],
  // section 5.2.1.1
  ["max-age=10", "max-age=0", 1, "validate: request-max-age"],
  ["max-age=10", "max-age=5", 5, "fresh"],
  ["max-age=10", "max-age=5", 6, "validate: request-max-age"],
  ["max-age=10", "max-age=x", 1, "validate: request-max-age"],
  ["max-age=10", "max-age=5, max-stale", 6, "validate: request-max-age"],
  // RFC 8246 section 2
  ["max-age=10, immutable", "max-age=0", 1, "fresh"],
  ["max-age=10, immutable", "max-age=0", 11, "validate: stale"],
  // section 5.2.1.3
  ["max-age=10", "min-fresh=5", 5, "fresh"],
  ["max-age=10", "min-fresh=5", 6, "validate: request-min-fresh"],
  ["max-age=10", "min-fresh=x", 0, "validate: request-min-fresh"],
  // section 5.2.1.2
  ["max-age=10", "max-stale", 1000, "stale: max-stale"],
  ["max-age=10", "max-stale=5", 15, "stale: max-stale"],
  ["max-age=10", "max-stale=5", 16, "validate: stale"],
  ["max-age=10", "max-stale=x", 11, "validate: stale"],
  ["max-age=10", "max-stale, min-fresh=1", 11, "validate: stale"],
  ["max-age=10, must-revalidate", "max-stale", 11, "validate: stale"],
  ["max-age=10, proxy-revalidate", "max-stale", 11, "validate: stale"],
  ["s-maxage=10", "max-stale", 11, "validate: stale"],
  ["max-age=10, no-cache", "max-stale", 11, "validate: no-cache"],
  // RFC 5861 section 3
  ["max-age=10, stale-while-revalidate=5", undefined, 14, "stale: stale-while-revalidate"],
  ["max-age=10, stale-while-revalidate=5", undefined, 15, "validate: stale"],
  ["max-age=10, stale-while-revalidate=5", "max-age=100", 11, "validate: stale"],
  ["max-age=10, stale-while-revalidate=5", "no-cache", 11, "validate: request-no-cache"],
  ["max-age=10, stale-while-revalidate=5, must-revalidate", undefined, 11, "validate: stale"],
  // section 5.2.1.7
  ["max-age=10", "only-if-cached", 1, "fresh"],
  ["max-age=10", "only-if-cached", 11, "gateway-timeout: stale"],
  ["max-age=10", "only-if-cached, max-stale", 11, "stale: max-stale"],
  ["max-age=10", "only-if-cached, no-cache", 1, "gateway-timeout: request-no-cache"],
])("reuse(): stored with %p, asked for with %p after %p s: %p", (response, request, seconds, outcome) => {
  expect(decide(response, request, seconds)).toBe(outcome);
});

test("reuse() has what was invalidated validated, fresh or not (RFC 9111 section 4.4)", () => {
  expect(reuse(stored("max-age=10, immutable"), asking("max-stale"), after(1), true)).toMatchObject({
    use: "validate",
    reason: "invalidated",
  });
});

test("reuse() says how much freshness is left, negative when stale", () => {
  expect(reuse(stored("max-age=10"), asking(), after(3)).ttlMs).toBe(7000);
  expect(reuse(stored("max-age=10"), asking("max-stale"), after(13)).ttlMs).toBe(-3000);
});

/** undefined: unreachable; else the status of the answer. */
const failedWith = (status: number | undefined): OriginFailure =>
  status === undefined ? { kind: "unreachable" } : { kind: "status", status };

test.each([
  // RFC 9111 section 4.2.4: disconnected; section 4.3.3: a server error taken for that
  ["max-age=10", undefined, undefined, 1000, "stale: disconnected"],
  ["max-age=10", undefined, 503, 1000, "stale: server-error"],
  ["max-age=10", undefined, 404, 11, "error: not-a-failure"],
  ["max-age=10", undefined, 501, 11, "error: not-a-failure"],
  // directives that forbid it
  ["max-age=10, must-revalidate", undefined, undefined, 11, "error: forbidden"],
  ["max-age=10, proxy-revalidate", undefined, undefined, 11, "error: forbidden"],
  ["max-age=10, no-cache", undefined, undefined, 11, "error: forbidden"],
  ["max-age=10, s-maxage=10", undefined, undefined, 11, "error: forbidden"],
  ["max-age=10, stale-if-error=60, must-revalidate", undefined, 500, 11, "error: forbidden"],
  ["max-age=10", "no-cache", undefined, 1, "error: request-no-cache"],
  // RFC 5861 section 4
  ["max-age=10, stale-if-error=60", undefined, 500, 69, "stale: stale-if-error"],
  ["max-age=10, stale-if-error=60", undefined, 500, 70, "error: too-stale"],
  ["max-age=10, stale-if-error=60", undefined, undefined, 70, "error: too-stale"],
  ["max-age=10, stale-if-error=60", "stale-if-error=600", undefined, 70, "stale: stale-if-error"],
])(
  "reuseOnError(): stored with %p, asked for with %p, failed with %p after %p s: %p",
  (response, request, status, seconds, out) => {
    const { use, reason } = reuseOnError(stored(response), asking(request), failedWith(status), after(seconds));
    expect(`${use}: ${reason}`).toBe(out);
  },
);

test("reuseOnError() does not send what was invalidated", () => {
  const outcome = reuseOnError(
    stored("max-age=10, stale-if-error=60"),
    asking(),
    failedWith(undefined),
    after(1),
    true,
  );
  expect(outcome).toEqual({ use: "error", reason: "invalidated" });
});

test("nothing that is stale is sent unasked when a directive forbids it, whatever else stands beside it", () => {
  const directive = fc.constantFrom(
    ...["max-age=5", "max-age=5000", "public", "immutable", "stale-while-revalidate=9999", "stale-if-error=9999"],
    ...["must-revalidate", "proxy-revalidate", "s-maxage=5", "no-cache", "x", 'no-cache="a"'],
  );
  const wish = fc.constantFrom("max-stale", "max-age=9999", "min-fresh=0", "only-if-cached", "stale-if-error=9999");
  check(
    fc.property(fc.array(directive), fc.array(wish), fc.nat(9999), (directives, wishes, seconds) => {
      const freshness = stored(directives.join(","));
      const request = asking(wishes.join(","));
      const decision = reuse(freshness, request, after(seconds));
      const isStale = ttlMs(freshness, after(seconds)) <= 0;
      if (decision.use === "fresh") expect(isStale).toBe(false);
      if (!isStale || !forbidsStale(freshness.control)) return;
      expect(["validate", "gateway-timeout"]).toContain(decision.use);
      expect(reuseOnError(freshness, request, failedWith(undefined), after(seconds)).use).toBe("error");
    }),
  );
});

test("what is not reusable stays so as time passes", () => {
  const control = fc.constantFrom(
    "max-age=9",
    "max-age=9, stale-while-revalidate=9",
    "s-maxage=9",
    "max-age=9, immutable",
  );
  const wish = fc.constantFrom(undefined, "max-stale=9", "max-age=12", "min-fresh=3", "max-stale");
  check(
    fc.property(control, wish, fc.nat(40), fc.nat(40), (response, request, first, later) => {
      const isSent = (seconds: number) => /^(fresh|stale)/.test(decide(response, request, seconds));
      if (!isSent(first)) expect(isSent(first + later)).toBe(false);
    }),
  );
});
