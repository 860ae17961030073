import { expect, test } from "bun:test";
import { nodePositionsOf } from "./log-presence.ts";

test("nodePositionsOf() reads numbers and times, in the order of names; no silence is negative", () => {
  const reply = ["b", "7 1000 cafe", "a", "1764000000000001 4000 cafe", "c", "7 9000"].map((text) => Buffer.from(text));
  expect(nodePositionsOf(reply, 5_000)).toEqual([
    { name: "a", sequence: 1_764_000_000_000_001, silentMs: 1_000 },
    { name: "b", sequence: 7, silentMs: 4_000 },
    { name: "c", sequence: 7, silentMs: 0 },
  ]);
});
