import { describe, expect, test } from "bun:test";
import { GETFILE_HEADER_BYTES_MAX } from "./limits.ts";
import { formatRequest, type GetfileRequest, GetfileRequestParser } from "./request.ts";

function octets(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}

function parseWhole(text: string): GetfileRequest {
  return new GetfileRequestParser().push(octets(text));
}

/** The outcome of each prefix of `text`, pushed an octet at a time. */
function parseByteByByte(text: string): GetfileRequest {
  const parser = new GetfileRequestParser();
  let outcome: GetfileRequest = { kind: "incomplete" };
  for (const octet of octets(text)) outcome = parser.push(Uint8Array.of(octet));
  return outcome;
}

const CASES: readonly [sent: string, outcome: GetfileRequest][] = [
  ["GETFILE GET /a.txt\r\n\r\n", { kind: "request", path: "/a.txt" }],
  ["GETFILE GET /a.txt \r\n\r\n", { kind: "request", path: "/a.txt" }],
  ["getFile Get /A.txt\r\n\r\n", { kind: "request", path: "/A.txt" }],
  ["GETFILE GET /\r\n\r\n", { kind: "request", path: "/" }],
  ["GETFILE GET /a*b:{|}\xe4\xff\x80\r\n\r\n", { kind: "request", path: "/a*b:{|}\xe4\xff\x80" }],
  ["GETFILE GET /a\r\n\r\nGETFILE GET /b\r\n\r\n\0", { kind: "request", path: "/a" }],
  ["", { kind: "incomplete" }],
  ["GETFILE GET", { kind: "incomplete" }],
  ["GETFILE GET /a\r\n\r", { kind: "incomplete" }],
  ["GETFILE GET /a \r\n", { kind: "incomplete" }],
  ["G\0", { kind: "malformed", reason: "unknown-scheme" }],
  ["GETFILES GET /a\r\n\r\n", { kind: "malformed", reason: "unknown-method" }],
  ["HTTP", { kind: "malformed", reason: "unknown-scheme" }],
  [" GETFILE GET /a\r\n\r\n", { kind: "malformed", reason: "misplaced-space" }],
  ["GETFILE  GET /a\r\n\r\n", { kind: "malformed", reason: "misplaced-space" }],
  ["GETFILE GET  /a\r\n\r\n", { kind: "malformed", reason: "misplaced-space" }],
  ["GETFILE GET /a  \r\n\r\n", { kind: "malformed", reason: "misplaced-space" }],
  ["GETFILE /a\r\n\r\n", { kind: "malformed", reason: "unknown-method" }],
  ["GETFILE PUT /a\r\n\r\n", { kind: "malformed", reason: "unknown-method" }],
  ["GETFILE\tGET /a\r\n\r\n", { kind: "malformed", reason: "unknown-method" }],
  ["GETFILE GET a\r\n\r\n", { kind: "malformed", reason: "path-without-slash" }],
  ["GETFILE GET http://h/a\r\n\r\n", { kind: "malformed", reason: "path-without-slash" }],
  ["GETFILE GET \r\n\r\n", { kind: "malformed", reason: "path-without-slash" }],
  ["GETFILE GET /a\0b\r\n\r\n", { kind: "malformed", reason: "control-byte-in-path" }],
  ["GETFILE GET /a\tb\r\n\r\n", { kind: "malformed", reason: "control-byte-in-path" }],
  ["GETFILE GET /a\x7f\r\n\r\n", { kind: "malformed", reason: "control-byte-in-path" }],
  ["GETFILE GET /a\n\n", { kind: "malformed", reason: "control-byte-in-path" }],
  ["GETFILE GET /a b\r\n\r\n", { kind: "malformed", reason: "bytes-after-path" }],
  ["GETFILE GET /a\r\r\n\r\n", { kind: "malformed", reason: "bytes-after-path" }],
  ["GETFILE GET /a\r\nHost: h\r\n\r\n", { kind: "malformed", reason: "bytes-after-path" }],
  ["GETFILE GET /a\r\n \r\n", { kind: "malformed", reason: "bytes-after-path" }],
];

describe("GetfileRequestParser", () => {
  for (const [sent, outcome] of CASES) {
    test(`${JSON.stringify(sent)} is ${JSON.stringify(outcome)}, whole, byte by byte and split anywhere`, () => {
      expect(parseWhole(sent)).toEqual(outcome);
      expect(parseByteByByte(sent)).toEqual(outcome);
      for (let cut = 0; cut <= sent.length; cut++) {
        const parser = new GetfileRequestParser();
        parser.push(octets(sent.slice(0, cut)));
        expect(parser.push(octets(sent.slice(cut)))).toEqual(outcome);
      }
    });
  }

  test("a header of the limit's length is read, one octet more is refused", () => {
    const fixed = "GETFILE GET /\r\n\r\n".length;
    const longest = `GETFILE GET /${"a".repeat(GETFILE_HEADER_BYTES_MAX - fixed)}\r\n\r\n`;
    const beyond = `GETFILE GET /${"a".repeat(GETFILE_HEADER_BYTES_MAX - fixed + 1)}\r\n\r\n`;
    for (const parse of [parseWhole, parseByteByByte]) {
      expect(parse(longest).kind).toBe("request");
      expect(parse(beyond)).toEqual({ kind: "malformed", reason: "header-too-long" });
    }
  });

  test("an endless path is refused at the limit, whatever follows", () => {
    expect(parseWhole(`GETFILE GET /${"a".repeat(1 << 20)}`)).toEqual({ kind: "malformed", reason: "header-too-long" });
  });

  test("the outcome stands once it is known", () => {
    const parser = new GetfileRequestParser();
    const outcome = parser.push(octets("GETFILE GET /a\r\n\r\n"));
    expect(parser.push(octets("GETFILE GET /b\r\n\r\n"))).toBe(outcome);
  });

  test("nothing of a pushed array is kept", () => {
    const parser = new GetfileRequestParser();
    const chunk = octets("GETFILE GET /abc");
    parser.push(chunk);
    chunk.fill(0x78);
    expect(parser.push(octets("d\r\n\r\n"))).toEqual({ kind: "request", path: "/abcd" });
  });

  test("random octets around a valid header give the same outcome however they are split", () => {
    const seed = Math.floor(Math.random() * 2 ** 32);
    console.log(`getfile request fuzz seed ${seed}`);
    const random = mulberry32(seed);
    for (let round = 0; round < 5_000; round++) {
      const sent = Array.from("GETFILE GET /some/path \r\n\r\ntail");
      for (let edits = Math.floor(random() * 4); edits > 0; edits--) {
        const at = Math.floor(random() * sent.length);
        sent.splice(at, Math.floor(random() * 2), String.fromCharCode(Math.floor(random() * 256)));
      }
      const text = sent.join("");
      expect({ text, outcome: parseByteByByte(text) }).toEqual({ text, outcome: parseWhole(text) });
    }
  });
});

describe("formatRequest()", () => {
  test("is read back by the parser", () => {
    for (const path of ["/", "/a/b.txt", "/a%20b?c", "/\xe4"]) {
      expect(parseWhole(formatRequest(path))).toEqual({ kind: "request", path });
    }
  });

  test("throws for what a parser would refuse", () => {
    const tooLong = `/${"a".repeat(GETFILE_HEADER_BYTES_MAX)}`;
    for (const path of ["", "a", "/a b", "/a\r\n", "/\0", "/\u20ac", tooLong]) {
      expect(() => formatRequest(path)).toThrow(RangeError);
    }
  });
});

function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
