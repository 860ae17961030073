import { expect, test } from "bun:test";
import { writingOf } from "./shared-response.ts";

test("writingOf() tells bodies that were written in the same millisecond, and writings of one body, apart", () => {
  const bodies = Array.from({ length: 10_000 }, (_, index) => index.toString(16).padStart(16, "0"));
  const writings = bodies.map((body) => writingOf({ body, writtenAtMs: 1_764_000_000_000 }));
  expect(new Set(writings).size).toBe(bodies.length);
  expect(writings.every((writing) => Number.isSafeInteger(writing) && writing > 0)).toBe(true);
  expect(writingOf({ body: bodies[0]!, writtenAtMs: 1 })).not.toBe(writingOf({ body: bodies[0]!, writtenAtMs: 2 }));
  expect(writingOf({ body: bodies[0]!, writtenAtMs: 1.5 })).toBe(writingOf({ body: bodies[0]!, writtenAtMs: 1.5 }));
});
