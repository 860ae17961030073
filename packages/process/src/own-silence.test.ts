import { expect, test } from "bun:test";
import { LOOK_AFTER_MS, OwnSilence } from "./own-silence.ts";

test("OwnSilence.ms() takes off what the thread waited for a processor since it was first looked at, and forgets that once it is heard", () => {
  let waitedMs = 7_000;
  const own = new OwnSilence(() => waitedMs);
  expect(own.ms(0, 1, LOOK_AFTER_MS - 1)).toBe(0);
  expect(own.ms(0, 1, LOOK_AFTER_MS)).toBe(LOOK_AFTER_MS);
  waitedMs += 400;
  expect(own.ms(0, 1, LOOK_AFTER_MS + 500)).toBe(LOOK_AFTER_MS + 100);
  expect(own.ms(0, 1, 0)).toBe(0);
  expect(own.ms(0, 1, LOOK_AFTER_MS)).toBe(LOOK_AFTER_MS);
});

test("OwnSilence.ms() asks the kernel about nobody who is heard", () => {
  const own = new OwnSilence(() => {
    throw new Error("asked");
  });
  expect(own.ms("main", 1, LOOK_AFTER_MS - 1)).toBe(0);
});
