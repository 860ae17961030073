import { expect, test } from "bun:test";
import { readNumbers, writeNumbers } from "./packed-numbers.ts";

const bytes = Buffer.alloc(80);

test("writeNumbers() takes no more bytes than each number needs, and readNumbers() gives each again", () => {
  for (let power = 0; power < 64; power++) {
    for (const number of [2 ** power - 1, 2 ** power, 2 ** power + 1]) {
      const { end, sizes } = writeNumbers(bytes, 3, [number]);
      expect(readNumbers(bytes, 3, sizes, 1)).toEqual({ end, numbers: [number] });
      expect(end - 3).toBe(number < 2 ** 48 ? Math.ceil(Math.log2(number + 1) / 8) : 8);
    }
  }
});

test("writeNumbers() keeps what is no whole number, negative or no number at all", () => {
  const numbers = [0.5, -1, 2 ** 52 + 1, Number.POSITIVE_INFINITY, Number.NaN, 0, 7, 1e300];
  const { end, sizes } = writeNumbers(bytes, 0, numbers);
  expect(readNumbers(bytes, 0, sizes, 8)).toEqual({ end, numbers });
  expect(readNumbers(bytes, 0, sizes, 3)).toEqual({ end: 24, numbers: numbers.slice(0, 3) });
});
