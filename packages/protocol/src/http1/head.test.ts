import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Fields } from "./fields.ts";
import { parseRequestHead, parseResponseHead } from "./head.ts";
import { DEFAULT_HEAD_LIMITS } from "./limits.ts";
import { renderRequestHead, renderResponseHead } from "./write.ts";

const octets = (text: string) => new Uint8Array(Buffer.from(text, "latin1"));
const requestOf = (text: string) => parseRequestHead(octets(text), 0, text.length);
const responseOf = (text: string) => parseResponseHead(octets(text), 0, text.length);

describe("parseRequestHead()", () => {
  test("all parts, from the middle of a buffer", () => {
    const text = "POST /a?b HTTP/1.0\r\nHost: x\r\ncontent-LENGTH:  5\r\nX-Unheard-Of: \xff\r\n\r\n";
    const head = parseRequestHead(octets(`zz${text}zz`), 2, 2 + text.length);
    if (head.kind === "malformed") throw new Error(head.reason);
    expect(head).toMatchObject({
      kind: "request",
      method: "POST",
      target: "/a?b",
      minorVersion: 0,
      headBytes: text.length,
    });
    expect([...head.fields]).toEqual([
      ["Host", "x"],
      ["content-LENGTH", "5"],
      ["X-Unheard-Of", "\xff"],
    ]);
    expect(head.fields.get("content-length")).toBe("5");
    expect(head.fields.get("x-unheard-of")).toBe("\xff");
  });

  test("keeps nothing of the caller's bytes", () => {
    const bytes = octets("GET /a HTTP/1.1\r\nHost: x\r\nX-Unheard-Of: y\r\n\r\n");
    const head = parseRequestHead(bytes, 0, bytes.length);
    bytes.fill(0x21);
    if (head.kind === "malformed") throw new Error(head.reason);
    expect([head.method, head.target, head.fields.render()]).toEqual(["GET", "/a", "Host: x\r\nX-Unheard-Of: y\r\n"]);
  });

  test.each(["", "\r\n", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nA: b\r\n", "GET / HTTP/1.1\r\n\r"])(
    "%j is no whole head, and nothing after it is looked at",
    (text) => {
      expect(parseRequestHead(octets(`${text}\r\n\r\n`), 0, text.length)).toMatchObject({ reason: "head-incomplete" });
    },
  );

  test("bytes after the head are refused: the caller has to know where it ends", () => {
    expect(requestOf("GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n")).toMatchObject({ reason: "empty-line" });
  });

  test.each([
    ["GET / HTTP/1.1\rA: b\r\n\r\n", "bare-cr"],
    ["GET / HTTP/1.1\r\nA: b\rC: d\r\n\r\n", "bare-cr"],
    ["GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n", "bare-lf"],
    ["GET / HTTP/1.1\r\nA\rB: d\r\n\r\n", "bare-cr"],
    ["GET / HTTP/1.1\nA: d\r\n\r\n", "http-version"],
    ["GET / HTTP/1.1\r\nA: \0\r\n\r\n", "nul"],
  ])("%j is refused without a scanner too", (text, reason) => {
    expect(requestOf(text)).toMatchObject({ kind: "malformed", reason });
  });

  test("its own limits hold without a scanner", () => {
    const limits = { ...DEFAULT_HEAD_LIMITS, headBytes: 64, fields: 1, targetBytes: 4, methodBytes: 4 };
    const parse = (text: string) => parseRequestHead(octets(text), 0, text.length, limits);
    expect(parse("PUTT /abc HTTP/1.1\r\nA: b\r\n\r\n")).toMatchObject({ kind: "request" });
    expect(parse("PUTTT / HTTP/1.1\r\n\r\n")).toMatchObject({ reason: "method-too-long", status: 501 });
    expect(parse("PUT /abcd HTTP/1.1\r\n\r\n")).toMatchObject({ reason: "target-too-long", status: 414 });
    expect(parse("PUT / HTTP/1.1\r\nA: b\r\nC: d\r\n\r\n")).toMatchObject({ reason: "too-many-fields", status: 431 });
    expect(parse(`PUT / HTTP/1.1\r\nA: ${"b".repeat(60)}\r\n\r\n`)).toMatchObject({
      reason: "head-too-large",
      status: 431,
    });
  });

  test("a field name in any case, known or not, is kept as sent and found in lower case", () => {
    const names = fc
      .oneof(
        fc.constantFrom("host", "content-length", "x-forwarded-for", "etag", "te"),
        fc.stringMatching(/^[a-z-]{1,40}$/),
      )
      .chain((name) =>
        fc
          .array(fc.boolean(), { minLength: name.length, maxLength: name.length })
          .map((upper) => [...name].map((letter, i) => (upper[i] ? letter.toUpperCase() : letter)).join("")),
      );
    const property = fc.property(names, (name) => {
      const head = requestOf(`GET / HTTP/1.1\r\n${name}: 1\r\n\r\n`);
      if (head.kind === "malformed") throw new Error(head.reason);
      expect([head.fields.name(0), head.fields.lowerName(0)]).toEqual([name, name.toLowerCase()]);
      expect(head.fields.get(name.toLowerCase())).toBe("1");
    });
    fc.assert(property, { numRuns: 1000 });
  });

  test("what is rendered is parsed again as it was", () => {
    const pairs = fc.array(
      fc.tuple(
        fc.stringMatching(/^[!#-'*+\-.^_`|~0-9A-Za-z]{1,20}$/),
        fc.stringMatching(/^(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?$/),
      ),
      { maxLength: 10 },
    );
    const property = fc.property(fc.stringMatching(/^\/[!"$-[\]-~]*$/), pairs, (target, lines) => {
      const head = requestOf(renderRequestHead("PURGE", target, Fields.from(lines)));
      if (head.kind === "malformed") throw new Error(head.reason);
      expect([head.method, head.target, head.minorVersion]).toEqual(["PURGE", target, 1]);
      expect([...head.fields]).toEqual(lines);
    });
    fc.assert(property, { numRuns: 500 });
  });
});

describe("parseResponseHead()", () => {
  test("all parts", () => {
    const head = responseOf("HTTP/1.0 404 Not \xe9\r\nA: b\r\n\r\n");
    expect(head).toMatchObject({ kind: "response", status: 404, reason: "Not \xe9", minorVersion: 0, headBytes: 28 });
  });

  test("a CR in the place of CR LF after the reason is refused", () => {
    expect(responseOf("HTTP/1.1 200 OK\r?A: b\r\n\r\n")).toMatchObject({ kind: "malformed", reason: "bare-cr" });
  });

  test("every refusal is a bad gateway", () => {
    for (const text of [
      "HTTP/2.0 200 OK\r\n\r\n",
      "HTTP/1.1 200 OK\r\n: b\r\n\r\n",
      "HTTP/1.1 20 OK\r\n\r\n",
      "\r\n\r\n",
    ]) {
      expect(responseOf(text)).toMatchObject({ kind: "malformed", status: 502 });
    }
  });

  test("what is rendered is parsed again as it was", () => {
    const head = responseOf(renderResponseHead(299, "", Fields.from([["A", "b"]])));
    expect(head).toMatchObject({ status: 299, reason: "" });
  });
});
