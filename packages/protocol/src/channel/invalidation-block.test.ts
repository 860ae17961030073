import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { invalidationBlockBytes, readInvalidationBlock, writeInvalidationBlock } from "./invalidation-block.ts";

const SEGMENT_BYTES = 16 * 1024;
const name = fc.string({
  unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
  maxLength: 50,
});

describe("readInvalidationBlock()", () => {
  test("gives back what was written", () => {
    fc.assert(
      fc.property(fc.array(name, { maxLength: 10 }), fc.array(name, { maxLength: 10 }), (targets, groups) => {
        const segment = new Uint8Array(SEGMENT_BYTES);
        const bytes = writeInvalidationBlock(segment, { site: 4_000_000_000, targets, groups });
        expect(bytes).toBe(invalidationBlockBytes({ targets, groups }));
        expect(readInvalidationBlock(segment, bytes)).toEqual({ site: 4_000_000_000, targets, groups });
        expect(readInvalidationBlock(segment, bytes + 1)).toBeUndefined();
      }),
    );
  });

  test("whatever the bytes, nothing is thrown", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 192, maxLength: 400 }), fc.nat(500), (segment, bytes) => {
        const read = readInvalidationBlock(segment, bytes);
        expect(read === undefined || Array.isArray(read.targets)).toBe(true);
      }),
    );
  });
});
