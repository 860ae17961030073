import { describe, expect, test } from "bun:test";
import { parseResponseHead, type ResponseHead } from "@proj/protocol";
import { FormerHead } from "./former-head.ts";

function kept(text: string): { former: FormerHead; head: ResponseHead } {
  const bytes = Buffer.from(`xx${text}`, "latin1");
  const head = parseResponseHead(bytes, 2, bytes.length);
  if (head.kind === "malformed") throw new Error(head.reason);
  const former = new FormerHead();
  former.keep(head, bytes, 2, bytes.length);
  bytes.fill(0); // the socket's memory is used again
  return { former, head };
}

const HEAD = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: \xe9\r\n\r\n";

describe("FormerHead", () => {
  test("the same octets are the same head, whatever follows", () => {
    const { former, head } = kept(HEAD);
    for (const rest of ["", "abc", "abcHTTP/1.1 "]) {
      const bytes = Buffer.from(HEAD + rest, "latin1");
      expect(former.at(bytes, bytes.length)).toBe(head);
    }
  });

  test("one octet more, fewer, or another is another head, or not a whole one", () => {
    const { former } = kept(HEAD);
    for (let at = 0; at < HEAD.length; at++) {
      const other = Buffer.from(HEAD, "latin1");
      other[at]! ^= 1;
      expect(former.at(other, other.length)).toBeUndefined();
      const whole = Buffer.from(HEAD, "latin1");
      expect(former.at(whole, at)).toBeUndefined();
    }
    const longer = Buffer.from(HEAD.replace("X:", "X-Y:"), "latin1");
    expect(former.at(longer, longer.length)).toBeUndefined();
  });

  test("a long head is not kept, and neither is the one before it", () => {
    const { former, head } = kept(HEAD);
    former.keep(head, new Uint8Array(4096), 0, 4096);
    const bytes = Buffer.from(HEAD, "latin1");
    expect(former.at(bytes, bytes.length)).toBeUndefined();
  });
});
