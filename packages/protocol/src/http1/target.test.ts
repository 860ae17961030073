import { describe, expect, test } from "bun:test";
import { parseRequestHead } from "./head.ts";
import { checkHost, parseTarget } from "./target.ts";

describe("parseTarget()", () => {
  test("the four forms", () => {
    expect(parseTarget("GET", "/a/../%2e?b")).toEqual({ form: "origin", path: "/a/../%2e?b" });
    expect(parseTarget("GET", "HTTP://A.b:80/c?d")).toEqual({
      form: "absolute",
      scheme: "http",
      authority: "A.b:80",
      path: "/c?d",
    });
    expect(parseTarget("GET", "https://[::1]/")).toEqual({
      form: "absolute",
      scheme: "https",
      authority: "[::1]",
      path: "/",
    });
    expect(parseTarget("CONNECT", "a.b:443")).toEqual({ form: "authority", authority: "a.b:443" });
    expect(parseTarget("OPTIONS", "*")).toEqual({ form: "asterisk" });
  });

  test("an absolute target without a path", () => {
    expect(parseTarget("GET", "http://a")).toMatchObject({ path: "/" });
    expect(parseTarget("GET", "http://a?b")).toMatchObject({ path: "/?b" });
    expect(parseTarget("OPTIONS", "http://a")).toMatchObject({ path: "*" });
    expect(parseTarget("OPTIONS", "http://a?b")).toMatchObject({ path: "/?b" });
  });

  test("the path keeps its bytes: what is asked for is what is forwarded", () => {
    for (const path of ["//a", "/./b", "/../c", "/%2e%2e/%2F", "/%00", "/a//b/", "/?http://x/"]) {
      expect(parseTarget("GET", path)).toEqual({ form: "origin", path });
      expect(parseTarget("GET", `http://a${path}`)).toMatchObject({ path });
    }
  });

  test.each([
    ["GET", "*"],
    ["CONNECT", "/"],
    ["CONNECT", "a"],
    ["CONNECT", "http://a/"],
    ["GET", "a:443"],
    ["GET", "http://u@a/"],
    ["GET", "ftp://a/"],
    ["GET", "http:///a"],
    ["GET", ""],
    ["GET", "/a b"],
    ["GET", "/a\\b"],
    ["GET", "/a#b"],
    ["GET", "/\0"],
    ["GET", "/\u0100"],
  ])("%s %j is refused", (method, target) => {
    expect(parseTarget(method, target)).toMatchObject({ kind: "malformed", status: 400 });
  });
});

describe("checkHost()", () => {
  function hostOf(start: string, fields: string) {
    const bytes = Buffer.from(`${start}\r\n${fields}\r\n`, "latin1");
    const head = parseRequestHead(bytes, 0, bytes.length);
    if (head.kind === "malformed") throw new Error(head.reason);
    return checkHost(head);
  }

  test("the target's authority, else Host's, as sent", () => {
    expect(hostOf("GET / HTTP/1.1", "Host: A.b:80\r\n")).toBe("A.b:80");
    expect(hostOf("GET http://b/ HTTP/1.1", "Host: a\r\n")).toBe("b");
    expect(hostOf("GET http://b/ HTTP/1.0", "")).toBe("b");
    expect(hostOf("CONNECT b:443 HTTP/1.1", "Host: a\r\n")).toBe("b:443");
    expect(hostOf("OPTIONS * HTTP/1.1", "Host: a\r\n")).toBe("a");
    expect(hostOf("GET / HTTP/1.0", "")).toBe("");
  });

  test("an authority in the target does not excuse a Host that is missing, repeated or invalid", () => {
    expect(hostOf("GET http://b/ HTTP/1.1", "")).toMatchObject({ reason: "host-missing" });
    expect(hostOf("GET http://b/ HTTP/1.1", "Host: a\r\nHost: a\r\n")).toMatchObject({ reason: "host-repeated" });
    expect(hostOf("GET http://b/ HTTP/1.1", "Host: a/\r\n")).toMatchObject({ reason: "host" });
  });

  test("a target that is refused is refused here too", () => {
    expect(hostOf("GET http://u@b/ HTTP/1.1", "Host: a\r\n")).toMatchObject({ reason: "target-authority" });
    expect(hostOf("CONNECT / HTTP/1.1", "Host: a\r\n")).toMatchObject({ reason: "target-authority" });
  });
});
