import { describe, expect, test } from "bun:test";
import { approximateSize, formatSize, parseSize } from "./size.ts";

describe("parseSize()", () => {
  const sizes: readonly [string, number | undefined][] = [
    ["0", 0],
    ["4096", 4096],
    ["7B", 7],
    ["256KiB", 262_144],
    ["256kib", 262_144],
    ["10GiB", 10 * 1024 ** 3],
    ["9007199254740991", Number.MAX_SAFE_INTEGER],
    ["9007199254740992", undefined],
    ["99999999999GiB", undefined],
    ["", undefined],
    ["-1", undefined],
    ["+1", undefined],
    ["1.5MiB", undefined],
    ["1 KiB", undefined],
    ["1KB", undefined],
    ["1M", undefined],
    ["0x10", undefined],
    ["1e3", undefined],
    ["KiB", undefined],
    ["4096\n", undefined],
  ];
  for (const [text, bytes] of sizes) {
    test(`reads ${JSON.stringify(text)} as ${bytes}`, () => expect(parseSize(text)).toBe(bytes as number));
  }
});

describe("formatSize()", () => {
  test("is read back by parseSize() as the same number", () => {
    for (const bytes of [0, 1, 1023, 1024, 1025, 4096, 262_144, 1024 ** 2 + 1, 1024 ** 3, 3 * 1024 ** 4]) {
      expect(parseSize(formatSize(bytes))).toBe(bytes);
    }
  });

  test("takes the largest unit that needs no fraction", () => {
    expect([formatSize(262_144), formatSize(1025), formatSize(1024 ** 3)]).toEqual(["256KiB", "1025B", "1GiB"]);
  });
});

test("approximateSize() keeps one decimal and none when the size is even", () => {
  expect([approximateSize(64_382_566), approximateSize(1024), approximateSize(7)]).toEqual(["61.4MiB", "1KiB", "7B"]);
});
