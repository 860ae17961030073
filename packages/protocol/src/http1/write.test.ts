import { describe, expect, test } from "bun:test";
import { Fields } from "./fields.ts";
import { reasonPhrase } from "./status.ts";
import { LAST_CHUNK, renderChunkHead, renderLastChunk, renderRequestHead, renderResponseHead } from "./write.ts";

const NONE = new Fields();

describe("rendering", () => {
  test("heads", () => {
    expect(renderRequestHead("GET", "/a", Fields.from([["Host", "b"]]))).toBe("GET /a HTTP/1.1\r\nHost: b\r\n\r\n");
    expect(renderResponseHead(200, "OK", NONE)).toBe("HTTP/1.1 200 OK\r\n\r\n");
    expect(renderResponseHead(200, "", NONE)).toBe("HTTP/1.1 200 \r\n\r\n");
  });

  test("chunks", () => {
    expect(renderChunkHead(1)).toBe("1\r\n");
    expect(renderChunkHead(65535)).toBe("ffff\r\n");
    expect(renderLastChunk(undefined)).toBe(LAST_CHUNK);
    expect(renderLastChunk(Fields.from([["A", "b"]]))).toBe("0\r\nA: b\r\n\r\n");
  });

  test.each([
    ["GE T", "/"],
    ["", "/"],
    ["GET", "/a b"],
    ["GET", "/\r\nX: y"],
    ["GET", ""],
  ])("the request line %j %j is refused: it would be two", (method, target) => {
    expect(() => renderRequestHead(method, target, NONE)).toThrow(TypeError);
  });

  test.each([
    [200, "OK\r\nX: y"],
    [200, "\0"],
    [20, "OK"],
    [1000, "OK"],
    [Number.NaN, "OK"],
    [200.5, "OK"],
  ])("the status line %p %j is refused", (status, reason) => {
    expect(() => renderResponseHead(status, reason, NONE)).toThrow(TypeError);
  });
});

test("reasonPhrase() of registered codes, and none for others", () => {
  expect([reasonPhrase(200), reasonPhrase(502), reasonPhrase(299)]).toEqual(["OK", "Bad Gateway", ""]);
});
