import { expect, test } from "bun:test";
import fc from "fast-check";
import { frameMultipartByteranges } from "./multipart-byteranges.ts";
import { check } from "./test-support.ts";

/** The body as it goes out. */
function assemble(body: string, ranges: { start: number; end: number }[], contentType: string | undefined): string {
  const frame = frameMultipartByteranges(ranges, body.length, contentType, "BOUNDARY");
  const parts = ranges.map(({ start, end }, index) => frame.partHeads[index] + body.slice(start, end));
  const sent = parts.join("") + frame.end;
  expect(sent.length).toBe(frame.contentLengthBytes);
  return sent;
}

test("frameMultipartByteranges() frames each range with its type and position (RFC 9110 section 14.6)", () => {
  const ranges = [
    { start: 0, end: 2 },
    { start: 8, end: 10 },
  ];
  expect(assemble("0123456789", ranges, "text/plain")).toBe(
    "--BOUNDARY\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01\r\n" +
      "--BOUNDARY\r\nContent-Type: text/plain\r\nContent-Range: bytes 8-9/10\r\n\r\n89\r\n--BOUNDARY--\r\n",
  );
  expect(assemble("0123456789", ranges, undefined)).not.toContain("Content-Type");
  const { contentType } = frameMultipartByteranges(ranges, 10, undefined, "BOUNDARY");
  expect(contentType).toBe("multipart/byteranges; boundary=BOUNDARY");
});

test("frameMultipartByteranges() is taken apart again into the ranges that went in", () => {
  const range = fc.tuple(fc.nat(20), fc.integer({ min: 1, max: 9 })).map(([start, n]) => ({ start, end: start + n }));
  const body = Array.from({ length: 30 }, (_, i) => String.fromCharCode(0x41 + i)).join("");
  check(
    fc.property(fc.array(range, { minLength: 2, maxLength: 6 }), (ranges) => {
      const sent = `\r\n${assemble(body, ranges, "a/b")}`;
      const parts = sent.split("\r\n--BOUNDARY").slice(1);
      expect(parts.pop()).toBe("--\r\n");
      const read = parts.map((part) => {
        const [head = "", content] = part.split("\r\n\r\n");
        const [, first, last] = /bytes (\d+)-(\d+)\/30$/.exec(head) ?? [];
        expect(content).toBe(body.slice(Number(first), Number(last) + 1));
        return { start: Number(first), end: Number(last) + 1 };
      });
      expect(read).toEqual(ranges);
    }),
  );
});
