/** docs/reliability.md holds a table of what must be survived: each number has tests, and each test that it names exists under that very title. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { testTitles } from "./support/test-titles.ts";

const ROOT = join(import.meta.dir, "..");
const NUMBERS = 68;

interface Row {
  number: number;
  tests: { file: string; name: string }[];
  result: string;
}

const rows = readFileSync(join(ROOT, "docs/reliability.md"), "utf8")
  .split("\n")
  .filter((line) => /^\| \d+ \|/.test(line))
  .map((line): Row => {
    const [, number = "", , tests = "", result = ""] = line
      .split(" | ")
      .flatMap((cell, index) => (index === 0 ? ["", cell.slice(2)] : [cell]));
    return {
      number: Number(number),
      tests: tests.split("<br>").map((cell) => {
        const [, file = "", name = ""] = /^`([^`]+)`: (.+)$/.exec(cell) ?? [];
        return { file, name };
      }),
      result: result.replace(/ \|$/, ""),
    };
  });

describe("the table in docs/reliability.md", () => {
  test("has every number once, in order, with a result", () => {
    expect(rows.map(({ number }) => number)).toEqual(Array.from({ length: NUMBERS }, (_, index) => index + 1));
    expect(rows.filter(({ result }) => !result.startsWith("passes"))).toEqual([]);
  });

  test("names tests that exist", () => {
    const titles = new Map<string, string[]>();
    const titlesOf = (file: string) => {
      if (!titles.has(file)) titles.set(file, file.endsWith(".test.ts") ? testTitles(sourceOf(file)) : []);
      return titles.get(file)!;
    };
    const missing = rows.flatMap(({ number, tests }) =>
      tests
        .filter(({ file, name }) => !titlesOf(file).includes(name))
        .map(({ file, name }) => `${number}: ${file}: ${name}`),
    );
    expect(missing).toEqual([]);
  });
});

function sourceOf(file: string): string {
  try {
    return readFileSync(join(ROOT, file), "utf8");
  } catch {
    return "";
  }
}
