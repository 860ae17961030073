import { describe, expect, test } from "bun:test";
import { getfileTarget } from "./path.ts";

const LED: readonly [prefix: string, path: string, target: string][] = [
  ["/", "/", "/"],
  ["/", "/a/b.txt", "/a/b.txt"],
  ["/files", "/a", "/files/a"],
  ["/files/", "/a", "/files/a"],
  ["/files/v1", "/", "/files/v1/"],
  ["/", "/a//b/./c", "/a//b/./c"],
  ["/", "/a%20b%2Fc", "/a%20b%2Fc"],
  ["/", "/a*b?x=1&y=../..", "/a*b?x=1&y=../.."],
  ["/", '/a#b\\c"<>^`{|}[]', "/a%23b%5Cc%22%3C%3E%5E%60%7B%7C%7D%5B%5D"],
  ["/", "/\xc3\xa4.txt", "/%C3%A4.txt"],
  ["/", "/...", "/..."],
  ["/", "/..a/b..", "/..a/b.."],
  ["/", "/.well-known/x", "/.well-known/x"],
  ["/", "/http://other/a", "/http://other/a"],
  ["/", "/100%25", "/100%25"],
];

const NOT_FOUND: readonly string[] = [
  "/..",
  "/../etc/passwd",
  "/a/../../b",
  "/a/../b",
  "/a/..",
  "/%2e%2e/a",
  "/.%2E/a",
  "/%2e./a",
  "/..%2fa",
  "/a%2f..%2fb",
  "/..\\a",
  "/a\\..\\b",
  "/..%5ca",
  "/%252e%252e/a",
  "/%25252e%25252e/a",
  "/%25%32%65%25%32%65/a",
  "/..;/a",
  "/..;x=1/a",
  "/..%3Fa",
  "/..%23a",
  "//host/a",
  "/\\host/a",
  "/%2fhost/a",
  "/%5chost/a",
  "/%252fhost/a",
  "/%2525252525252541",
];

const INVALID: readonly string[] = ["/a%", "/a%4", "/a%zz", "/%00", "/a%0d%0aHost:x", "/%2500", "/%7f"];

describe("getfileTarget()", () => {
  for (const [prefix, path, target] of LED) {
    test(`${path} under ${prefix} is ${target}`, () => {
      expect(getfileTarget(prefix, path)).toEqual({ kind: "target", target });
    });
  }
  for (const path of NOT_FOUND) {
    test(`${path} is not found`, () => {
      expect(getfileTarget("/files", path)).toMatchObject({ kind: "refused", status: "FILE_NOT_FOUND" });
    });
  }
  for (const path of INVALID) {
    test(`${path} is invalid`, () => {
      expect(getfileTarget("/files", path)).toMatchObject({ kind: "refused", status: "INVALID" });
    });
  }

  test("whatever the octets, a target stays under the prefix when a URL parser resolves it", () => {
    const seed = Math.floor(Math.random() * 2 ** 32);
    console.log(`getfile path fuzz seed ${seed}`);
    let state = seed || 1;
    const random = (below: number) => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return (state >>> 0) % below;
    };
    const pieces = [
      "/",
      "/",
      ".",
      "..",
      "%2e",
      "%2E",
      "%252e",
      "%2f",
      "%5c",
      "\\",
      ";",
      "a",
      "\xe4",
      "//",
      ":",
      "@",
      "#",
      "?",
      "%00",
      "%",
    ];
    let led = 0;
    for (let round = 0; round < 20_000; round++) {
      let path = "/";
      for (let count = random(10); count > 0; count--) path += pieces[random(pieces.length)];
      const outcome = getfileTarget("/files/v1/", path);
      if (outcome.kind === "refused") continue;
      led++;
      const url = new URL(outcome.target, "http://origin.example");
      expect({ path, host: url.host, inside: url.pathname.startsWith("/files/v1/") }).toEqual({
        path,
        host: "origin.example",
        inside: true,
      });
      const alone = getfileTarget("/", path);
      if (alone.kind === "target") expect(new URL(alone.target, "http://origin.example").host).toBe("origin.example");
      expect(outcome.target).toMatch(/^[\x21-\x7e]+$/);
    }
    expect(led).toBeGreaterThan(1_000);
  });
});
