import { expect, test } from "bun:test";
import { type Unsent, withUnsent } from "./log-position.ts";

const purgeOf = (key: string): Unsent => ({ selectors: [{ by: "key", key, target: "/" }], soft: false });

test("withUnsent() keeps each purge once, and a new beginning in place of too many", () => {
  let unsent: readonly Unsent[] = [];
  for (let index = 0; index < 1_024; index++) unsent = withUnsent(unsent, purgeOf(String(index)));
  expect(unsent.length).toBe(1_024);
  expect(withUnsent(unsent, purgeOf("7"))).toBe(unsent);
  expect(withUnsent(unsent, { ...purgeOf("7"), soft: true })).toEqual([{ begin: true }]);
  const begun = withUnsent(unsent, purgeOf("another"));
  expect(begun).toEqual([{ begin: true }]);
  expect(withUnsent(begun, purgeOf("7"))).toBe(begun);
});
