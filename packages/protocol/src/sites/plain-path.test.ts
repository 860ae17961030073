import { expect, test } from "bun:test";
import { plainPath } from "./plain-path.ts";

test("plainPath() is one spelling for what is equal, without the query", () => {
  expect(plainPath("/a/%62%2Dc~?x=/../")).toBe("/a/b-c~");
  expect(plainPath("/%7Euser/%C3%A4%20b")).toBe("/~user/%C3%A4%20b");
  expect(plainPath("/a/")).toBe("/a/");
  expect(plainPath("/")).toBe("/");
  expect(plainPath("/...")).toBe("/...");
});

test("plainPath() is undefined for what origins read differently (web cache deception)", () => {
  const paths = [
    "/a/../b",
    "/a/.",
    "/%2e%2e/b",
    "/a/.%2E/b",
    "//a",
    "/a//b",
    "/a%2fb",
    "/a%2F..%2fb",
    "/a%5cb",
    "/a\\b",
  ];
  paths.push(
    "/account;a.css",
    "/account%3ba.css",
    "/account%3fa.css",
    "/account%23a.css",
    "/account%00.css",
    "/a%0ab.css",
  );
  paths.push("/%2561ccount", "/a%", "/a%zz", "/a%7f");
  for (const path of paths) expect({ path, plain: plainPath(path) }).toEqual({ path, plain: undefined });
});
