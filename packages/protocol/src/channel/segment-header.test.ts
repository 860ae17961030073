import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  isAsked,
  PAYLOAD_TAIL_BYTES,
  type PortionAnswer,
  REFUSAL,
  type Refusal,
  type ResponseAnswer,
  readAnswer,
  readResponse,
  VERDICTS,
  writeAsked,
  writePortion,
  writeRefusal,
} from "./segment-header.ts";

const SEGMENT_BYTES = 8192;
const words = () => new Int32Array(SEGMENT_BYTES / 4);

const version = fc.integer({ min: -0x80000000, max: 0x7fffffff });
/** It may be kept, or it can not be shared: never both. */
const leave = fc.oneof(
  fc.record({ hotVersion: fc.option(version, { nil: undefined }) }),
  fc.record({ pass: fc.record({ version, ms: fc.integer({ min: 1, max: 0x7fffffff }) }) }),
);

const response: fc.Arbitrary<ResponseAnswer> = fc
  .record({
    status: fc.integer({ min: 200, max: 999 }),
    headBytes: fc.nat(100_000),
    verdict: fc.constantFrom(...VERDICTS),
    ageSeconds: fc.option(fc.nat(), { nil: undefined }),
    ttlSeconds: fc.option(fc.integer({ min: -0x7fffffff, max: 0x7fffffff }), { nil: undefined }),
    forwardStatus: fc.option(fc.integer({ min: 100, max: 999 }), { nil: undefined }),
    stored: fc.boolean(),
    collapsed: fc.boolean(),
    hasCacheStatus: fc.boolean(),
  })
  .chain((rest) => leave.map((one) => ({ hotVersion: undefined, ...rest, ...one })));

const portion: fc.Arbitrary<PortionAnswer> = fc.record({
  kind: fc.constant("portion" as const),
  bytes: fc.nat(SEGMENT_BYTES - 256 - PAYLOAD_TAIL_BYTES),
  last: fc.boolean(),
  open: fc.boolean(),
  replayable: fc.boolean(),
  bodyBytes: fc.option(fc.maxSafeNat(), { nil: undefined }),
  availableBytes: fc.maxSafeNat(),
  payloadOffset: fc.constant(256),
  loan: fc.option(fc.integer({ min: 0, max: 0xffffffff }), { nil: undefined }),
  trailers: fc.boolean(),
});

describe("a segment's header", () => {
  test("readAnswer() and readResponse() give back what writePortion() wrote", () => {
    fc.assert(
      fc.property(portion, response, fc.nat(), (written, of, ticket) => {
        const segment = words();
        writeAsked(segment, ticket);
        expect(isAsked(segment, ticket)).toBe(true);
        writePortion(segment, written, of);
        expect(readAnswer(segment, SEGMENT_BYTES, ticket)).toEqual(written);
        expect(readResponse(segment)).toEqual(of);
        expect(isAsked(segment, ticket)).toBe(false);
      }),
    );
  });

  test("every refusal is a size below zero and is read as itself", () => {
    for (const refusal of Object.keys(REFUSAL) as Refusal[]) {
      const segment = words();
      writeAsked(segment, 5);
      writeRefusal(segment, refusal);
      expect(REFUSAL[refusal]).toBeLessThan(0);
      expect(readAnswer(segment, SEGMENT_BYTES, 5)).toEqual({ kind: "refusal", refusal });
    }
  });

  test("an answer to another question, of another version, or none at all is malformed", () => {
    const segment = words();
    writeAsked(segment, 5);
    expect(readAnswer(segment, SEGMENT_BYTES, 5)).toEqual({ kind: "malformed", reason: "state" });
    writeRefusal(segment, "not-found");
    expect(readAnswer(segment, SEGMENT_BYTES, 6)).toEqual({ kind: "malformed", reason: "ticket" });
    segment[16] = 99;
    expect(readAnswer(segment, SEGMENT_BYTES, 5)).toEqual({ kind: "malformed", reason: "version" });
  });

  test("whatever a hostile peer writes, a portion lies inside the segment (CHECKLIST 57)", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -0x80000000, max: 0x7fffffff }), { minLength: 32, maxLength: 32 }),
        (scribble) => {
          const segment = words();
          segment.set(scribble, 16);
          segment[16] = 1;
          segment[17] = 7;
          segment[18] = 2;
          const answer = readAnswer(segment, SEGMENT_BYTES, 7);
          readResponse(segment);
          if (answer.kind !== "portion") return;
          expect(answer.payloadOffset).toBeGreaterThanOrEqual(192);
          expect(answer.payloadOffset + answer.bytes + PAYLOAD_TAIL_BYTES).toBeLessThanOrEqual(SEGMENT_BYTES);
        },
      ),
      { numRuns: 2000 },
    );
  });
});
