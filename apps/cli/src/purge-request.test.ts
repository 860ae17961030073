import { describe, expect, test } from "bun:test";
import { readPurgeRequest } from "./purge-request.ts";

describe("readPurgeRequest()", () => {
  test("takes one selector, with its flags", () => {
    const hard = { soft: false, dryRun: false };
    expect(readPurgeRequest({ url: "/a?b=%20" })).toEqual({ selector: { by: "url", target: "/a?b=%20" }, ...hard });
    expect(readPurgeRequest({ url: "https://shop.example:8080//a/../b?c" })).toEqual({
      selector: { by: "url", host: "shop.example:8080", target: "//a/../b?c" },
      ...hard,
    });
    expect(readPurgeRequest({ prefix: "/a/", soft: true })).toEqual({
      selector: { by: "prefix", prefix: "/a/" },
      soft: true,
      dryRun: false,
    });
    expect(readPurgeRequest({ pattern: "/*.css", dryRun: true })).toMatchObject({
      selector: { by: "pattern", pattern: "/*.css" },
    });
    expect(readPurgeRequest({ tag: "red" })).toMatchObject({ selector: { by: "tag", tag: "red" } });
    expect(readPurgeRequest({ all: true })).toMatchObject({ selector: { by: "all" } });
  });

  const REFUSED: unknown[] = [
    {},
    { url: "" },
    { url: "a" },
    { url: "http://shop.example" },
    { url: "/a b" },
    { url: "/a", tag: "b" },
    { all: false },
    { all: true, sofd: true },
    { tag: "" },
    { pattern: "*".repeat(513) },
    { url: "/a", soft: "yes" },
    [],
    null,
    "all",
  ];
  test.each(REFUSED.map((value) => [JSON.stringify(value), value] as const))("refuses %s in words", (_, value) => {
    expect(readPurgeRequest(value)).toBeString();
  });
});
