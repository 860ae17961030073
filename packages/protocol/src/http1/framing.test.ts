import { describe, expect, test } from "bun:test";
import { keepsAlive, parseContentLength, requestFraming, responseFraming } from "./framing.ts";
import { parseRequestHead, parseResponseHead, type RequestHead, type ResponseHead } from "./head.ts";

function request(fields: string, method = "POST", version = "1.1"): RequestHead {
  const bytes = Buffer.from(`${method} / HTTP/${version}\r\n${fields}\r\n`, "latin1");
  const head = parseRequestHead(bytes, 0, bytes.length);
  if (head.kind === "malformed") throw new Error(head.reason);
  return head;
}

function response(status: number, fields: string, version = "1.1"): ResponseHead {
  const bytes = Buffer.from(`HTTP/${version} ${status} X\r\n${fields}\r\n`, "latin1");
  const head = parseResponseHead(bytes, 0, bytes.length);
  if (head.kind === "malformed") throw new Error(head.reason);
  return head;
}

const LENGTH = "Content-Length: 5\r\n";
const CHUNKED = "Transfer-Encoding: chunked\r\n";

test("requestFraming() of each kind", () => {
  expect(requestFraming(request(""))).toEqual({ kind: "none" });
  expect(requestFraming(request(LENGTH, "GET"))).toEqual({ kind: "length", bytes: 5 });
  expect(requestFraming(request("Content-Length: 0\r\n"))).toEqual({ kind: "none" });
  expect(requestFraming(request(CHUNKED))).toEqual({ kind: "chunked" });
  expect(requestFraming(request("", "CONNECT"))).toEqual({ kind: "none" });
  expect(requestFraming(request(LENGTH + CHUNKED))).toMatchObject({ kind: "malformed", status: 400 });
  expect(requestFraming(request("Transfer-Encoding: gzip, chunked\r\n"))).toMatchObject({ status: 501 });
});

test("responseFraming() of each kind", () => {
  expect(responseFraming("GET", response(200, ""))).toEqual({ kind: "until-close" });
  expect(responseFraming("GET", response(200, "", "1.0"))).toEqual({ kind: "until-close" });
  expect(responseFraming("GET", response(200, LENGTH))).toEqual({ kind: "length", bytes: 5 });
  expect(responseFraming("GET", response(200, "Content-Length: 0\r\n"))).toEqual({ kind: "length", bytes: 0 });
  expect(responseFraming("GET", response(200, CHUNKED))).toEqual({ kind: "chunked" });
  expect(responseFraming("GET", response(200, LENGTH + CHUNKED))).toMatchObject({ kind: "malformed", status: 502 });
});

test.each([
  ["HEAD", 200],
  ["HEAD", 404],
  ["GET", 100],
  ["GET", 101],
  ["GET", 103],
  ["GET", 204],
  ["GET", 304],
  ["CONNECT", 200],
] as const)("responseFraming() of %s %d: no content, whatever the fields say", (method, status) => {
  for (const fields of ["", LENGTH, CHUNKED]) {
    expect(responseFraming(method, response(status, fields))).toEqual({ kind: "none" });
  }
  expect(responseFraming(method, response(status, LENGTH + LENGTH))).toMatchObject({ kind: "malformed" });
});

test("responseFraming() of a CONNECT that is refused has content", () => {
  expect(responseFraming("CONNECT", response(407, LENGTH))).toEqual({ kind: "length", bytes: 5 });
});

test("responseFraming() with a Transfer-Encoding that names no coding reads until the connection closes; real ones are refused", () => {
  const framing = (value: string) => responseFraming("GET", response(200, `Transfer-Encoding: ${value}\r\n`));
  for (const value of ["foo", "XKXKXKXK"]) expect(framing(value)).toEqual({ kind: "until-close" });
  for (const value of [
    "gzip",
    "x-gzip",
    "deflate",
    "identity",
    "xchunked",
    "chunked-x",
    "foo, bar",
    "foo;q=1",
    "foo, chunked",
  ])
    expect(framing(value)).toMatchObject({ kind: "malformed", status: 502 });
  expect(requestFraming(request("Transfer-Encoding: foo\r\n"))).toMatchObject({ kind: "malformed" });
});

test.each([
  ["", "1.1", true],
  ["", "1.0", false],
  ["Connection: keep-alive\r\n", "1.0", true],
  ["Connection: Keep-Alive\r\n", "1.0", true],
  ["Connection: close\r\n", "1.1", false],
  ["Connection: x, CLOSE ,y\r\n", "1.1", false],
  ["Connection: x\r\nConnection: close\r\n", "1.1", false],
  ["Connection: keep-alive, close\r\n", "1.0", false],
  ["Connection: closed\r\n", "1.1", true],
  ["Connection: x\r\n", "1.0", false],
  ["Connection:\r\n", "1.1", true],
])("keepsAlive() with %j in HTTP/%s: %p", (fields, version, expected) => {
  expect(keepsAlive(request(fields, "GET", version))).toBe(expected);
  expect(keepsAlive(response(200, fields, version))).toBe(expected);
});

describe("parseContentLength()", () => {
  test("digits up to 2^53 - 1", () => {
    expect(parseContentLength("0")).toBe(0);
    expect(parseContentLength("9007199254740991")).toBe(Number.MAX_SAFE_INTEGER);
    expect(parseContentLength("9007199254740992")).toBeUndefined();
    expect(parseContentLength("0000000000000000")).toBe(0);
    expect(parseContentLength("00000000000000000")).toBeUndefined();
  });

  test.each(["", " 5", "5 ", "+5", "-5", "5.0", "5e0", "0x5", "٥", "5\n"])("%j is no length", (value) => {
    expect(parseContentLength(value)).toBeUndefined();
  });
});
