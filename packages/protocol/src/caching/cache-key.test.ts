import { expect, test } from "bun:test";
import fc from "fast-check";
import { cacheTarget } from "./cache-key.ts";
import { check } from "./test-support.ts";

const keyOf = (scheme: "http" | "https", authority: string, path: string) => cacheTarget(scheme, authority, path)?.key;

test("cacheTarget() makes equal what RFC 9110 section 4.2.3 declares equal: the host's case, the default port", () => {
  expect(cacheTarget("http", "EXAMPLE.com:80", "/A?b")).toEqual({
    scheme: "http",
    authority: "example.com",
    path: "/A?b",
    key: "http://example.com/A?b",
  });
  expect(keyOf("http", "a.example:", "/")).toBe("http://a.example/");
  expect(keyOf("https", "a.example:0443", "/")).toBe("https://a.example/");
  expect(keyOf("https", "a.example:80", "/")).toBe("https://a.example:80/");
  expect(keyOf("http", "[::1]:8080", "/")).toBe("http://[::1]:8080/");
  expect(keyOf("http", "[2001:DB8::1]", "/")).toBe("http://[2001:db8::1]/");
});

test("cacheTarget() tells apart whatever an origin could tell apart", () => {
  const paths = [
    "/",
    "//",
    "/./",
    "/a/../",
    "/%2e%2e/",
    "/%2F",
    "/%2f",
    "/%00",
    "/~a",
    "/%7Ea",
    "/a",
    "/A",
    "/a?",
    "/a?b",
  ];
  const hosts = ["a.example", "a.example.", "b.example", "a.example:81"];
  const keys = hosts.flatMap((host) => paths.map((path) => keyOf("http", host, path)));
  expect(new Set([...keys, keyOf("https", "a.example", "/")]).size).toBe(hosts.length * paths.length + 1);
});

test.each([
  ["", "/"],
  ["a b", "/"],
  ["user@a", "/"],
  ["a/b", "/"],
  ["a?b", "/"],
  ["a,b", "/"],
  ["a:b", "/"],
  ["a:80:80", "/"],
  ["[::1", "/"],
  ["a\n", "/"],
  ["\xe4", "/"],
  ["a", ""],
  ["a", "*"],
  ["a", "b"],
  ["a", "/ "],
  ["a", "/#"],
  ["a", "/\\"],
  ["a", "/\0"],
  ["a", "/\xe4"],
  ["a", "/\n"],
])("cacheTarget() refuses authority %p with path %p", (authority, path) => {
  expect(cacheTarget("http", authority, path)).toBeUndefined();
});

test("cacheTarget() forwards the bytes its key is made of: one key, one target", () => {
  const octet = fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code));
  const authority = fc.string({
    unit: fc.constantFrom(...["a", "B", ".", "-", ":", "8", "0", "[", "]"]),
    maxLength: 6,
  });
  const path = fc.string({ unit: fc.oneof(octet, fc.constantFrom("/", "?", ".", "%", ":", "@")), maxLength: 8 });
  const target = fc.tuple(
    fc.constantFrom("http" as const, "https" as const),
    authority,
    path.map((text) => `/${text}`),
  );
  check(
    fc.property(target, target, (one, other) => {
      const a = cacheTarget(...one);
      const b = cacheTarget(...other);
      if (a === undefined || b === undefined) return;
      expect(a.path).toBe(one[2]);
      expect(a.key).toBe(`${a.scheme}://${a.authority}${a.path}`);
      // The key can be taken apart again in one way only: the authority holds no "/".
      expect(a.key.slice(a.key.indexOf("/", a.scheme.length + 3))).toBe(a.path);
      expect(a.key === b.key).toBe(a.scheme === b.scheme && a.authority === b.authority && a.path === b.path);
      // What is forwarded is its own key: normalizing twice changes nothing.
      expect(cacheTarget(a.scheme, a.authority, a.path)).toEqual(a);
    }),
    5000,
  );
});
