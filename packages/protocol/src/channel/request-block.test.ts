import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { readRequestBlock, requestBlockBytes, type WantedResponse, writeRequestBlock } from "./request-block.ts";
import { SEGMENT_BODY_OFFSET } from "./segment-header.ts";

const octets = (minLength: number, maxLength: number) =>
  fc.uint8Array({ minLength, maxLength }).map((bytes) => Buffer.from(bytes).toString("latin1"));

describe("readRequestBlock()", () => {
  test("gives back what writeRequestBlock() wrote", () => {
    const wanted: fc.Arbitrary<WantedResponse> = fc.record({
      wire: fc.constantFrom("getfile", "http"),
      method: fc.constantFrom("GET", "HEAD"),
      acceptsLoan: fc.boolean(),
      site: fc.nat(0xffffffff),
      target: octets(1, 200),
      fieldSection: octets(0, 300),
      forwardingSection: octets(0, 100),
    });
    fc.assert(
      fc.property(wanted, (written) => {
        const segment = new Uint8Array(4096);
        const bytes = writeRequestBlock(segment, written);
        expect(bytes).toBe(requestBlockBytes(written));
        expect(readRequestBlock(segment, bytes)).toEqual(written);
      }),
    );
  });

  test("refuses lengths that do not add up or reach beyond the segment", () => {
    const segment = new Uint8Array(4096);
    const bytes = writeRequestBlock(segment, {
      wire: "http",
      method: "GET",
      acceptsLoan: true,
      site: 7,
      target: "/a",
      fieldSection: "A: b\r\n",
      forwardingSection: "X-Forwarded-For: ::1\r\n",
    });
    expect(readRequestBlock(segment, bytes - 1)).toBeUndefined();
    expect(readRequestBlock(segment, 4096)).toBeUndefined();
    expect(readRequestBlock(segment, 0)).toBeUndefined();
    new DataView(segment.buffer).setUint32(SEGMENT_BODY_OFFSET + 4, 0xffffffff, true);
    expect(readRequestBlock(segment, bytes)).toBeUndefined();
  });

  test("never throws and never reads beyond the segment, whatever the bytes", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 256, maxLength: 256 }),
        fc.integer({ min: -1, max: 5000 }),
        (bytes, length) => {
          readRequestBlock(bytes, length);
        },
      ),
    );
  });
});
