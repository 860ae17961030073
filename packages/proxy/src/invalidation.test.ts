import { describe, expect, test } from "bun:test";
import { Fields, type RequestHead, type ResponseHead } from "@proj/protocol";
import { invalidationOf } from "./invalidation.ts";

const VIEW = {
  origins: [new URL("http://origin.example:9000/base"), new URL("https://replica.example/base")],
  prefix: "/base",
};

function request(method: string, host = "shop.example"): RequestHead {
  const fields = Fields.from([["Host", host]]);
  return { kind: "request", method, target: "/a", minorVersion: 1, fields, headBytes: 0 };
}

function response(status: number, pairs: [string, string][] = []): ResponseHead {
  return { kind: "response", status, reason: "", minorVersion: 1, fields: Fields.from(pairs), headBytes: 0 };
}

describe("invalidationOf() (RFC 9111 section 4.4)", () => {
  test("nothing after a safe method or an error", () => {
    expect(invalidationOf(request("OPTIONS"), "/base/a", response(200), VIEW)).toBeUndefined();
    expect(invalidationOf(request("POST"), "/base/a", response(500), VIEW)).toBeUndefined();
  });

  test("the target, and what Location and Content-Location name by the origin's name or the public one", () => {
    const pairs: [string, string][] = [
      ["Location", "http://shop.example/b?c"],
      ["Content-Location", "http://origin.example:9000/base/d"],
    ];
    const found = invalidationOf(request("POST"), "/base/a", response(201, pairs), VIEW);
    expect(new Set(found?.targets)).toEqual(new Set(["/base/a", "/base/base/a", "/base/d", "/b?c", "/base/b?c"]));
  });

  test("what they name by the name of an origin that stands for it", () => {
    const pairs: [string, string][] = [["Location", "https://replica.example/base/e"]];
    const found = invalidationOf(request("POST"), "/base/a", response(201, pairs), VIEW);
    expect(found?.targets).toContain("/base/e");
  });

  test("nobody else's", () => {
    const pairs: [string, string][] = [["Location", "http://other.example/b"]];
    const found = invalidationOf(request("DELETE"), "/base/a", response(204, pairs), VIEW);
    expect(found?.targets.every((target) => target.endsWith("/a"))).toBe(true);
  });

  test("groups (RFC 9875)", () => {
    const found = invalidationOf(
      request("PUT"),
      "/base/a",
      response(200, [["Cache-Group-Invalidation", '"x", "y"']]),
      VIEW,
    );
    expect(found?.groups).toEqual(["x", "y"]);
  });
});
