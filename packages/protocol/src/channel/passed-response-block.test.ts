import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  type PassedResponse,
  passedResponseBlockBytes,
  readPassedResponseBlock,
  writePassedResponseBlock,
} from "./passed-response-block.ts";

const octets = (minLength: number) =>
  fc.string({
    unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
    minLength,
    maxLength: 60,
  });

describe("readPassedResponseBlock()", () => {
  test("gives back what was written", () => {
    const passed: fc.Arbitrary<PassedResponse> = fc.record({
      requestTimeMs: fc.integer(),
      responseTimeMs: fc.integer(),
      status: fc.integer({ min: 200, max: 599 }),
      site: fc.nat(0xffffffff),
      target: octets(1),
      requestFieldSection: octets(0),
      fieldSection: octets(0),
      content: fc.uint8Array({ maxLength: 300 }).map((bytes) => Uint8Array.from(bytes)),
    });
    fc.assert(
      fc.property(passed, (written) => {
        const segment = new Uint8Array(4096);
        const bytes = writePassedResponseBlock(segment, written);
        expect(bytes).toBe(passedResponseBlockBytes(written));
        expect(readPassedResponseBlock(segment, bytes)).toEqual(written);
        expect(readPassedResponseBlock(segment, bytes + 1)).toBeUndefined();
      }),
    );
  });

  test("whatever the bytes, nothing is thrown", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 192, maxLength: 400 }), fc.nat(500), (segment, bytes) => {
        const read = readPassedResponseBlock(segment, bytes);
        expect(read === undefined || read.target.length > 0).toBe(true);
      }),
    );
  });
});
