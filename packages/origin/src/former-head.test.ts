import { describe, expect, test } from "bun:test";
import { parseResponseHead } from "@proj/protocol";
import { FormerHead, type ReadHead } from "./former-head.ts";

function kept(text: string): { former: FormerHead; read: ReadHead } {
  const bytes = Buffer.from(`xx${text}`, "latin1");
  const head = parseResponseHead(bytes, 2, bytes.length);
  if (head.kind === "malformed") throw new Error(head.reason);
  const read: ReadHead = { head, framing: { kind: "length", bytes: 3 }, keepAliveMs: 4000, mayBeFollowed: false };
  const former = FormerHead.of(read, "GET", bytes, 2, bytes.length)!;
  bytes.fill(0); // the socket's memory is used again
  return { former, read };
}

const HEAD = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: \xe9\r\n\r\n";

describe("FormerHead", () => {
  test("the same octets are the same head, whatever follows", () => {
    const { former, read } = kept(HEAD);
    expect(former.read).toBe(read);
    for (const rest of ["", "abc", "abcHTTP/1.1 "]) {
      const bytes = Buffer.from(HEAD + rest, "latin1");
      expect(former.begins("GET", bytes, bytes.length)).toBe(true);
    }
  });

  test("one octet more, fewer, or another is another head, or not a whole one", () => {
    const { former } = kept(HEAD);
    for (let at = 0; at < HEAD.length; at++) {
      const other = Buffer.from(HEAD, "latin1");
      other[at]! ^= 1;
      expect(former.begins("GET", other, other.length)).toBe(false);
      const whole = Buffer.from(HEAD, "latin1");
      expect(former.begins("GET", whole, at)).toBe(false);
    }
    const longer = Buffer.from(HEAD.replace("X:", "X-Y:"), "latin1");
    expect(former.begins("GET", longer, longer.length)).toBe(false);
  });

  test("an answer to another method may be framed in another way", () => {
    const { former } = kept(HEAD);
    const bytes = Buffer.from(HEAD, "latin1");
    expect(former.begins("HEAD", bytes, bytes.length)).toBe(false);
  });

  test("a long head is not kept", () => {
    const { read } = kept(HEAD);
    expect(FormerHead.of(read, "GET", new Uint8Array(4096), 0, 4096)).toBeUndefined();
  });
});
