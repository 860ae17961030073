import { expect, test } from "bun:test";
import { PrefixViews } from "./prefix-views.ts";

test("gives out the first bytes of the memory, of any length, and the same view while no other took its place", () => {
  const memory = new Uint8Array(300);
  const views = PrefixViews.over(memory);
  for (const length of [0, 1, 64, 65, 128, 300, 1, 300, 0]) {
    const view = views.of(length);
    expect(view.length).toBe(length);
    expect(view.buffer).toBe(memory.buffer);
    expect(view.byteOffset).toBe(0);
    expect(views.of(length)).toBe(view);
  }
  const one = views.of(1);
  views.of(65); // takes its place
  expect(views.of(1)).not.toBe(one);
  expect(views.of(1)).toEqual(one);
});
