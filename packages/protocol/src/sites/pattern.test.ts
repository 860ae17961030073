import { expect, test } from "bun:test";
import { patternMatch } from "./pattern.ts";

test("patternMatch() takes a star for any run of characters, and the whole text", () => {
  const cases: [string, string, boolean][] = [
    ["/a", "/a", true],
    ["/a", "/ab", false],
    ["/a*", "/a", true],
    ["/a*", "/b/a", false],
    ["*.css", "/x/y.css", true],
    ["*.css", "/x.css/", false],
    ["/a*b*c", "/abc", true],
    ["/a*b*c", "/acb", false],
    ["/a*a", "/a", false],
    ["*", "", true],
    ["", "", true],
    ["", "x", false],
    ["/a.c", "/abc", false],
  ];
  for (const [pattern, text, matches] of cases) {
    expect({ pattern, text, matches: patternMatch(pattern)(text) }).toEqual({ pattern, text, matches });
  }
});
