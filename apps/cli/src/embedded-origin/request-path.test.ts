import { describe, expect, test } from "bun:test";
import { pathSegments } from "./request-path.ts";

describe("pathSegments()", () => {
  const named: readonly [string, readonly string[]][] = [
    ["/", [""]],
    ["/a.txt", ["a.txt"]],
    ["/dir/", ["dir", ""]],
    ["/a%20b/%C3%A4.txt", ["a b", "ä.txt"]],
    ["/a*b", ["a*b"]],
    ["/a..b/c...", ["a..b", "c..."]],
    ["/back\\slash", ["back\\slash"]],
    ["/100%25", ["100%"]],
    ["/%252e%252e/x", ["%2e%2e", "x"]], // decoded once: a file that is really called so
  ];
  for (const [pathname, segments] of named) {
    test(`takes ${pathname}`, () => expect(pathSegments(pathname)).toEqual(segments));
  }

  const refused = [
    "//",
    "//host/a",
    "/a//b",
    "/./a",
    "/../a",
    "/a/..",
    "/%2e%2e/a",
    "/.%2E/a",
    "/a%2fb",
    "/..%2f..%2fetc",
    "/a%00b",
    "/%00",
    "/.env",
    "/.git/config",
    "/a/.b",
    "/%",
    "/%zz",
    "/%ff",
  ];
  for (const pathname of refused) {
    test(`refuses ${pathname}`, () => expect(pathSegments(pathname)).toBeUndefined());
  }
});
