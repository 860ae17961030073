import { expect, test } from "bun:test";
import { forwardReasonOf } from "./selection.ts";

const BESIDE = { stored: {}, candidates: [] } as const;

test("forwardReasonOf() says what was wrong with what is stored, or that nothing is", () => {
  expect(forwardReasonOf({ kind: "none", reason: "uri-miss", candidates: [] })).toBe("uri-miss");
  expect(forwardReasonOf({ kind: "none", reason: "vary-miss", candidates: [] })).toBe("vary-miss");
  expect(forwardReasonOf({ kind: "incomplete", stored: {} })).toBe("partial");
  const validated = (reason: "stale" | "no-cache" | "request-max-age" | "request-no-cache") =>
    forwardReasonOf({ kind: "stored", ...BESIDE, reuse: { use: "validate", reason, ttlMs: 0 } });
  expect(validated("stale")).toBe("stale");
  expect(validated("no-cache")).toBe("stale");
  expect(validated("request-max-age")).toBe("request");
  expect(validated("request-no-cache")).toBe("request");
});
