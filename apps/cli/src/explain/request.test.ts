import { expect, test } from "bun:test";
import { readExplainRequest } from "./request.ts";

test("readExplainRequest() takes host, path and fields as they stand", () => {
  expect(readExplainRequest({ url: "http://a.example:81/b?c", headers: ["X-A:  1 "] })).toEqual({
    question: { host: "a.example:81", path: "/b?c", method: "GET", fields: [["X-A", "1"]] },
    url: "http://a.example:81/b?c",
    fetch: false,
  });
  expect(readExplainRequest({ url: "/b", method: "POST", headers: ["Host: h"], fetch: true })).toEqual({
    question: { host: "h", path: "/b", method: "POST", fields: [["Host", "h"]] },
    url: "/b",
    fetch: true,
  });
});

test("readExplainRequest() says what to give", () => {
  for (const value of [
    undefined,
    [],
    {},
    { url: undefined },
    { url: 1 },
    { url: "/a", x: 1 },
    { url: "/a", headers: "A: b" },
  ])
    expect(readExplainRequest(value)).toStartWith('say "url" (an http URL, or a path that begins with /)');
  expect(readExplainRequest({ url: "a" })).toBe("url is an http URL, or a path that begins with /");
  expect(readExplainRequest({ url: "/a", headers: ["A"] })).toBe("a header is written as Name: value");
  expect(readExplainRequest({ url: "/a", method: "get" })).toBe("method is one in capital letters");
});
