import { expect, test } from "bun:test";
import { ProgressBar } from "./progress-bar.ts";

test("ProgressBar draws ten times a second and at the end", () => {
  let now = 0;
  const drawn: string[] = [];
  const bar = new ProgressBar("/f", { isShown: true, now: () => now, write: (text) => drawn.push(text) });
  for (const [at, done] of [
    [500, 256],
    [550, 512],
    [600, 512],
    [1000, 1024],
  ] as const) {
    now = at;
    bar.show(done, 1024);
  }
  bar.end();
  bar.end();
  expect(drawn).toEqual([
    "\r\x1b[K/f [######..................] 25% of 1KiB, 512B/s",
    "\r\x1b[K/f [############............] 50% of 1KiB, 853B/s",
    "\r\x1b[K/f [########################] 100% of 1KiB, 1KiB/s",
    "\n",
  ]);
});

test("ProgressBar writes nothing where it is not shown", () => {
  const bar = new ProgressBar("/f", { isShown: false, write: () => expect.unreachable() });
  bar.show(1, 1);
  bar.end();
});
