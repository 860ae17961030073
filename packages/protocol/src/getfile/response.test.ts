import { describe, expect, test } from "bun:test";
import { GETFILE_HEADER_BYTES_MAX } from "./limits.ts";
import { formatResponseHead, type GetfileResponse, GetfileResponseParser, type GetfileWire } from "./response.ts";

function octets(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}

function parseByteByByte(wire: GetfileWire, text: string): { outcome: GetfileResponse; bytes: number } {
  const parser = new GetfileResponseParser(wire);
  for (let at = 0; at < text.length; at++) {
    const outcome = parser.push(octets(text.slice(at, at + 1)));
    if (outcome.kind !== "incomplete") return { outcome, bytes: at + 1 };
  }
  return { outcome: { kind: "incomplete" }, bytes: text.length };
}

describe("formatResponseHead()", () => {
  test("is what each wire's clients were measured to need", () => {
    expect(formatResponseHead("crlf", { status: "OK", length: 12 })).toBe("GETFILE OK 12\r\n\r\n");
    expect(formatResponseHead("pr3", { status: "OK", length: 12 })).toBe("GETFILE OK 12 ");
    expect(formatResponseHead("crlf", { status: "OK", length: 2n ** 64n - 1n })).toBe(
      "GETFILE OK 18446744073709551615\r\n\r\n",
    );
    for (const wire of ["crlf", "pr3"] as const) {
      expect(formatResponseHead(wire, { status: "OK", length: 0 })).toBe("GETFILE OK 0 \r\n\r\n");
      expect(formatResponseHead(wire, { status: "FILE_NOT_FOUND" })).toBe("GETFILE FILE_NOT_FOUND \r\n\r\n");
      expect(formatResponseHead(wire, { status: "ERROR" })).toBe("GETFILE ERROR \r\n\r\n");
      expect(formatResponseHead(wire, { status: "INVALID" })).toBe("GETFILE INVALID \r\n\r\n");
    }
  });

  test("throws for a length that is none", () => {
    for (const length of [-1, 1.5, Number.NaN, 2 ** 53, -1n, 2n ** 64n]) {
      expect(() => formatResponseHead("crlf", { status: "OK", length })).toThrow(RangeError);
    }
  });
});

const BOTH: readonly GetfileWire[] = ["crlf", "pr3"];
const CRLF: readonly GetfileWire[] = ["crlf"];
const PR3: readonly GetfileWire[] = ["pr3"];

/** A head, then what follows it; the head has to end exactly where the rest begins. */
const READ: readonly [wires: readonly GetfileWire[], head: string, rest: string, status: string, length: number][] = [
  [CRLF, "GETFILE OK 5\r\n\r\n", "hello", "OK", 5],
  [CRLF, "GETFILE OK 5 \r\n\r\n", "hello", "OK", 5],
  [CRLF, "GETFILE OK 0 \r\n\r\n", "", "OK", 0],
  [CRLF, "GETFILE OK 0\r\n\r\n", "", "OK", 0],
  [CRLF, "getfile ok 5\r\n\r\n", "hello", "OK", 5],
  [PR3, "GETFILE OK 5 ", "hello", "OK", 5],
  [PR3, "GETFILE OK 5 ", "\r\n\r\n!", "OK", 5],
  [PR3, "GETFILE OK 0 ", "\r\n\r\n", "OK", 0],
  [BOTH, "GETFILE OK 9007199254740991 ".trimEnd(), "", "OK", 9007199254740991],
  [CRLF, "GETFILE FILE_NOT_FOUND \r\n\r\n", "", "FILE_NOT_FOUND", 0],
  [PR3, "GETFILE FILE_NOT_FOUND ", "\r\n\r\n", "FILE_NOT_FOUND", 0],
  [BOTH, "GETFILE ERROR\r\n\r\n", "", "ERROR", 0],
  [BOTH, "GETFILE INVALID\r\n\r\n", "more", "INVALID", 0],
];

const REFUSED: readonly [wires: readonly GetfileWire[], sent: string, reason: string][] = [
  [BOTH, "HTTP/1.1 200 OK\r\n\r\n", "unknown-scheme"],
  [BOTH, "GETFILE  OK 5\r\n\r\n", "unknown-status"],
  [BOTH, "GETFILE FINE 5\r\n\r\n", "unknown-status"],
  [BOTH, "GETFILE FILE_NOT_FOUNDED \r\n\r\n", "unknown-status"],
  [BOTH, "GETFILE OK\r\n\r\n", "no-length"],
  [BOTH, "GETFILE OK \r\n\r\n", "no-length"],
  [BOTH, "GETFILE OK -1\r\n\r\n", "no-length"],
  [BOTH, "GETFILE OK +1 ", "no-length"],
  [BOTH, "GETFILE OK 0x5 ", "no-length"],
  [BOTH, "GETFILE OK 9007199254740992 ", "length-beyond-2^53"],
  [BOTH, "GETFILE OK 18446744073709551615 ", "length-beyond-2^53"],
  [BOTH, "GETFILE OK 18446744073709551616 ", "length-beyond-2^64"],
  [BOTH, "GETFILE OK 000000000000000000001 ", "length-beyond-2^64"],
  [CRLF, "GETFILE OK 5 hello", "wrong-wire"],
  [PR3, "GETFILE OK 5\r\n\r\nhello", "wrong-wire"],
  [BOTH, "GETFILE ERROR\r\nHost", "bytes-after-status"],
  [CRLF, "GETFILE ERROR  \r\n\r\n", "bytes-after-status"],
];

describe("GetfileResponseParser", () => {
  for (const [wires, head, rest, status, length] of READ) {
    for (const wire of wires) {
      const sent = length === Number.MAX_SAFE_INTEGER ? head + (wire === "pr3" ? " " : "\r\n\r\n") : head;
      test(`${wire} ${JSON.stringify(sent)} then ${JSON.stringify(rest)} is ${status}, ${length} octets`, () => {
        const whole = new GetfileResponseParser(wire).push(octets(sent + rest));
        expect(whole as unknown).toEqual({ kind: "response", status, length, bodyStart: sent.length });
        const { outcome, bytes } = parseByteByByte(wire, sent + rest);
        expect(outcome as unknown).toEqual({ kind: "response", status, length, bodyStart: 1 });
        expect(bytes).toBe(sent.length);
        expect(parseByteByByte(wire, sent.slice(0, -1)).outcome).toEqual({ kind: "incomplete" });
      });
    }
  }

  for (const [wires, sent, reason] of REFUSED) {
    for (const wire of wires) {
      test(`${wire} ${JSON.stringify(sent)} is refused: ${reason}`, () => {
        expect(new GetfileResponseParser(wire).push(octets(sent)) as unknown).toEqual({ kind: "malformed", reason });
        expect(parseByteByByte(wire, sent).outcome as unknown).toEqual({ kind: "malformed", reason });
      });
    }
  }

  test("reads what formatResponseHead() writes, on both wires", () => {
    for (const wire of BOTH) {
      for (const length of [0, 1, 4096, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER]) {
        const head = formatResponseHead(wire, { status: "OK", length });
        expect(new GetfileResponseParser(wire).push(octets(head))).toMatchObject({ status: "OK", length });
      }
      for (const status of ["FILE_NOT_FOUND", "ERROR", "INVALID"] as const) {
        const head = formatResponseHead(wire, { status });
        expect(new GetfileResponseParser(wire).push(octets(head))).toMatchObject({ status, length: 0 });
      }
    }
  });

  test("a head that never ends is refused at the limit", () => {
    const parser = new GetfileResponseParser("crlf");
    parser.push(octets("GETFILE "));
    expect(parser.push(new Uint8Array(GETFILE_HEADER_BYTES_MAX).fill(0x41))).toEqual({
      kind: "malformed",
      reason: "unknown-status",
    });
  });
});
