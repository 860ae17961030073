import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { testTitles } from "./test-titles.ts";

const OFF = ["skip", "todo", "failing"];

describe("testTitles()", () => {
  const TITLES: readonly (readonly [string, string, string[]])[] = [
    ["a call", "test(\"one\", () => {}); it('two', f); describe(`three`, () => {});", ["one", "two", "three"]],
    ["a call over several lines", 'test(\n  // why\n  "one",\n  f,\n);', ["one"]],
    ["a template", "test(`62 ${pool}, ${of({ a: `}` })}: all`, f);", ["62 ${pool}, ${of({ a: `}` })}: all"]],
    ["each, with its placeholders", 'test.each([["a)", /[)/]/], f("(")])("%s is %j", g)', ["%s is %j"]],
    ["a condition", 'test.skipIf(!canMount)("one", f); describe.if(a(b))("two", f)', ["one", "two"]],
    ["what does not hold", OFF.map((modifier) => `test.${modifier}("one", f);`).join(""), []],
    ["what runs in another manner", 'test.serial("one", f); describe.concurrent("two", f);', ["one", "two"]],
    ["other strings", 'const a = "one"; expect(a).toBe("two"); it.ask("three"); regex.test("four"); test(five, f)', []],
    ["comments", '// test("one", f)\n/* test("two", f) */ /** `test("three", f)` */', []],
    [
      "calls within strings",
      'const a = \'test("one", f)\'; const b = `test("two", f)`; const c = /test("three")/;',
      [],
    ],
    ["a division", 'const a = b / c; test("one", f); const d = e() / 2; test("two", f)', ["one", "two"]],
  ];
  for (const [what, source, titles] of TITLES)
    test(`finds ${what}`, () => {
      expect(testTitles(source)).toEqual(titles);
    });

  test("finds this file's own", () => {
    const own = testTitles(readFileSync(join(import.meta.dir, "test-titles.test.ts"), "utf8"));
    expect(own).toEqual(["testTitles()", "finds ${what}", "finds this file's own"]);
  });
});
