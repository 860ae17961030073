import { describe, expect, test } from "bun:test";
import { CommandError } from "./command-error.ts";
import { getLocation } from "./get-location.ts";

const DEFAULTS = { host: "127.0.0.1", port: 19121 };

describe("getLocation()", () => {
  const taken: readonly [string, { host: string; port: number; path: string }][] = [
    ["/a/b.txt", { ...DEFAULTS, path: "/a/b.txt" }],
    ["a.txt", { ...DEFAULTS, path: "/a.txt" }],
    ["/", { ...DEFAULTS, path: "/" }],
    ["/a b%20c\ttab", { ...DEFAULTS, path: "/a%20b%20c%09tab" }],
    ["/ä/€/😀", { ...DEFAULTS, path: "/%C3%A4/%E2%82%AC/%F0%9F%98%80" }],
    ["getfile://host.example/x?y=1", { host: "host.example", port: 19121, path: "/x?y=1" }],
    ["GETFILE://127.0.0.2:7/", { host: "127.0.0.2", port: 7, path: "/" }],
    ["getfile://h:7", { host: "h", port: 7, path: "/" }],
    ["getfile://[::1]:99/a/../b", { host: "::1", port: 99, path: "/a/../b" }],
  ];
  for (const [text, location] of taken) {
    test(`reads ${text}`, () => expect(getLocation(text, DEFAULTS)).toEqual(location));
  }

  for (const text of [
    "http://h/a",
    "getfile://",
    "getfile:///a",
    "getfile://h:0/a",
    "getfile://h:65536/",
    "getfile://h:x/",
    "getfile://u@h/",
    "getfile://[zz]/",
    "getfile://[1.2.3]/",
  ]) {
    test(`refuses ${text}`, () => expect(() => getLocation(text, DEFAULTS)).toThrow(CommandError));
  }
});
