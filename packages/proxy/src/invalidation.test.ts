import { describe, expect, test } from "bun:test";
import { defaultSite, Fields, type RequestHead, type ResponseHead, Site } from "@proj/protocol";
import { invalidationOf } from "./invalidation.ts";

const SITE = new Site(defaultSite(["http://origin.example:9000/base", "https://replica.example/base"]));

function request(method: string, host = "shop.example"): RequestHead {
  const fields = Fields.from([["Host", host]]);
  return { kind: "request", method, target: "/a", minorVersion: 1, fields, headBytes: 0 };
}

function response(status: number, pairs: [string, string][] = []): ResponseHead {
  return { kind: "response", status, reason: "", minorVersion: 1, fields: Fields.from(pairs), headBytes: 0 };
}

describe("invalidationOf() (RFC 9111 section 4.4)", () => {
  test("nothing after a safe method or an error", () => {
    expect(invalidationOf(request("OPTIONS"), "/base/a", response(200), SITE)).toBeUndefined();
    expect(invalidationOf(request("POST"), "/base/a", response(500), SITE)).toBeUndefined();
  });

  test("the target, and what Location and Content-Location name by the origin's name or the public one", () => {
    const pairs: [string, string][] = [
      ["Location", "http://shop.example/b?c"],
      ["Content-Location", "http://origin.example:9000/base/d"],
    ];
    const found = invalidationOf(request("POST"), "/base/a", response(201, pairs), SITE);
    expect(new Set(found?.targets)).toEqual(new Set(["/base/a", "/base/base/a", "/base/d", "/b?c", "/base/b?c"]));
  });

  test("what they name by the name of an origin that stands for it", () => {
    const pairs: [string, string][] = [["Location", "https://replica.example/base/e"]];
    const found = invalidationOf(request("POST"), "/base/a", response(201, pairs), SITE);
    expect(found?.targets).toContain("/base/e");
  });

  test("nobody else's", () => {
    const pairs: [string, string][] = [["Location", "http://other.example/b"]];
    const found = invalidationOf(request("DELETE"), "/base/a", response(204, pairs), SITE);
    expect(found?.targets.every((target) => target.endsWith("/a"))).toBe(true);
  });

  test("by what a rule counts of their queries, and behind a path that is taken off", () => {
    const settings = defaultSite(["http://origin.example:9000/base"]);
    const rules = [{ paths: ["*"], query: { kind: "ignore", names: ["utm"], forward: "all" } } as const];
    const shop = new Site({ ...settings, name: "shop", path: "/shop", stripPath: true, rules });
    const pairs: [string, string][] = [["Location", "http://shop.example/shop/b?utm=1&c"]];
    const found = invalidationOf(request("POST"), "/base/a?utm=2", response(201, pairs), shop);
    expect(found?.site).toBe(shop.id);
    expect(found?.targets).toContain("/base/a");
    expect(found?.targets).toContain("/base/b?c");
  });

  test("a response that names nobody else takes a shorter way to the same targets", () => {
    const other: [string, string][] = [["Location", "http://other.example/b"]];
    for (const target of ["/base/a", "/base/a?b=c", "/elsewhere", "*"])
      for (const status of [200, 204, 302, 399, 400, 503])
        for (const method of ["POST", "DELETE", "GET", "ODD"]) {
          const short = invalidationOf(request(method), target, response(status), SITE);
          expect(short).toEqual(invalidationOf(request(method), target, response(status, other), SITE));
        }
  });

  test("groups (RFC 9875)", () => {
    const found = invalidationOf(
      request("PUT"),
      "/base/a",
      response(200, [["Cache-Group-Invalidation", '"x", "y"']]),
      SITE,
    );
    expect(found?.groups).toEqual(["x", "y"]);
  });
});
