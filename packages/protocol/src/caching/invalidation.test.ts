import { expect, test } from "bun:test";
import fc from "fast-check";
import { cacheTarget } from "./cache-key.ts";
import { invalidatedTargets, isSafeMethod } from "./invalidation.ts";
import { check, fieldValue, responseOf } from "./test-support.ts";

const TARGET = cacheTarget("http", "a.example", "/dir/x?y")!;
const keys = (method: string, status: number, ...lines: string[]) =>
  invalidatedTargets(method, TARGET, responseOf(status, ...lines)).map(({ key }) => key);

test("invalidatedTargets() is the target after an unsafe method that did not fail (RFC 9111 section 4.4)", () => {
  for (const method of ["POST", "PUT", "DELETE", "PATCH", "M-SEARCH", "get"]) {
    expect(isSafeMethod(method)).toBe(false);
    for (const status of [200, 201, 204, 303, 399]) expect(keys(method, status)).toEqual([TARGET.key]);
    for (const status of [100, 400, 404, 500, 503]) expect(keys(method, status)).toEqual([]);
  }
  for (const method of ["GET", "HEAD", "OPTIONS", "TRACE"]) expect(keys(method, 200, "Location: /z")).toEqual([]);
});

test("invalidatedTargets() includes Location and Content-Location of the same origin, resolved", () => {
  expect(keys("POST", 201, "Location: z", "Content-Location: /c?d#e")).toEqual([
    TARGET.key,
    "http://a.example/dir/z",
    "http://a.example/c?d",
  ]);
  expect(keys("POST", 201, "Location: HTTP://A.example:80/z")).toEqual([TARGET.key, "http://a.example/z"]);
  expect(keys("POST", 201, "Location: ?q")).toEqual([TARGET.key, "http://a.example/dir/x?q"]);
  expect(keys("POST", 201, "Location: x?y", "Content-Location: /dir/x?y")).toEqual([TARGET.key]);
});

test.each([
  ...["http://b.example/z", "https://a.example/z", "//b.example/z", "http://a.example:81/z", "http://a.example./z"],
  ...["ftp://a.example/z", "javascript:x", "http://[", "mailto:a@a.example"],
])("invalidatedTargets() leaves %p alone: it is not of the same origin", (location) => {
  expect(keys("POST", 201, `Location: ${location}`)).toEqual([TARGET.key]);
});

test("invalidatedTargets() never throws and never leaves the origin", () => {
  const reference = fc.oneof(
    fieldValue,
    fc.webUrl(),
    fc.webPath(),
    fieldValue.map((text) => `//a.example${text}`),
  );
  check(
    fc.property(reference, reference, (location, contentLocation) => {
      const targets = invalidatedTargets(
        "POST",
        TARGET,
        responseOf(200, `Location: ${location}`, `Content-Location: ${contentLocation}`),
      );
      expect(targets[0]).toBe(TARGET);
      for (const target of targets) expect(target.key.startsWith("http://a.example/")).toBe(true);
    }),
  );
}, 60_000); // URLs are slow to make up
