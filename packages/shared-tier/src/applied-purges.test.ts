import { expect, test } from "bun:test";
import { AppliedPurges } from "./applied-purges.ts";

const applied = (responses: number) => ({ count: Promise.resolve({ responses, bodyBytes: 0 }) });

test("AppliedPurges.of() is what is added later under that number, or was before", async () => {
  const purges = new AppliedPurges();
  const [first, second] = [applied(1), applied(2)];
  const asked = purges.of(1, 60_000);
  purges.add(2, second);
  purges.add(1, first);
  expect(await asked).toBe(first);
  expect(await purges.of(2, 60_000)).toBe(second);
});

test("AppliedPurges.of() is undefined when the time is over, and for what was too long ago", async () => {
  const purges = new AppliedPurges();
  for (let sequence = 1; sequence <= 65; sequence++) purges.add(sequence, applied(sequence));
  expect(await purges.of(1, 5)).toBeUndefined();
  expect(await purges.of(2, 5)).toBeDefined();
  expect(await purges.of(66, 5)).toBeUndefined();
});
