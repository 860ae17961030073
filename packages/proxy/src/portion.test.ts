import { describe, expect, test } from "bun:test";
import { FIRST_PAYLOAD_OFFSET, NEXT_PAYLOAD_OFFSET, type PortionAnswer } from "@proj/protocol";
import type { Ask } from "./cache-client.ts";
import type { Loan } from "./loan-table.ts";
import { canAnswer, isInterimHead, newPortion, portionOnLoan } from "./portion.ts";
import { NEW_TRANSFER, type Sending, step } from "./transfer.ts";

const ASK = { segment: { bytes: new Uint8Array(4096) }, firstByte: 0, shard: 0 } as unknown as Ask;

const FIRST: PortionAnswer = {
  kind: "portion",
  bytes: 100,
  last: false,
  open: true,
  replayable: true,
  bodyBytes: undefined,
  availableBytes: 100,
  payloadOffset: FIRST_PAYLOAD_OFFSET,
  loan: undefined,
  trailers: false,
};
const NEXT: PortionAnswer = { ...FIRST, payloadOffset: NEXT_PAYLOAD_OFFSET };

/** A transfer of which the first 100 bytes have come. */
function sending(endBytes: number | undefined): Sending {
  const asked = step(NEW_TRANSFER, { type: "segment-taken" });
  const { bytes, last, open, replayable, availableBytes } = FIRST;
  return step(asked, { type: "portion", bytes, last, open, replayable, availableBytes, endBytes }) as Sending;
}

describe("canAnswer()", () => {
  test("takes what comes where it was asked for, as long as it was asked for", () => {
    expect(canAnswer(newPortion(ASK, 0), FIRST, undefined, false)).toBe(true);
    expect(canAnswer(newPortion(ASK, 100), NEXT, sending(undefined), false)).toBe(true);
    expect(canAnswer(newPortion(ASK, 100, 100), NEXT, sending(500), false)).toBe(true);
    expect(canAnswer(newPortion(ASK, 0), NEXT, sending(undefined), false)).toBe(false);
    expect(canAnswer(newPortion(ASK, 100), FIRST, undefined, false)).toBe(false);
    expect(canAnswer(newPortion(ASK, 100, 99), NEXT, sending(500), false)).toBe(false);
  });

  test("wants room before the payload for what goes out in front of it", () => {
    expect(canAnswer(newPortion(ASK, 0), { ...FIRST, payloadOffset: FIRST_PAYLOAD_OFFSET - 1 }, undefined, false)).toBe(
      false,
    );
    expect(
      canAnswer(newPortion(ASK, 100), { ...NEXT, payloadOffset: NEXT_PAYLOAD_OFFSET - 1 }, sending(undefined), false),
    ).toBe(false);
  });

  test("takes a loan only with the head, and only where it was accepted", () => {
    const lent = { ...FIRST, loan: 7 };
    expect(canAnswer(newPortion(ASK, 0), lent, undefined, true)).toBe(true);
    expect(canAnswer(newPortion(ASK, 0), lent, undefined, false)).toBe(false);
    expect(canAnswer(newPortion(ASK, 100), { ...NEXT, loan: 7 }, sending(undefined), true)).toBe(false);
  });

  test("takes nothing only at the end", () => {
    const none = { ...NEXT, bytes: 0 };
    expect(canAnswer(newPortion(ASK, 100), none, sending(undefined), false)).toBe(false);
    expect(canAnswer(newPortion(ASK, 100), { ...none, last: true }, sending(undefined), false)).toBe(true);
  });

  test("takes trailers only behind a body without a length", () => {
    const trailers = { ...NEXT, trailers: true };
    expect(canAnswer(newPortion(ASK, 100), trailers, sending(undefined), false)).toBe(true);
    expect(canAnswer(newPortion(ASK, 100), trailers, sending(500), false)).toBe(false);
    expect(canAnswer(newPortion(ASK, 0), { ...FIRST, trailers: true }, undefined, false)).toBe(false);
  });
});

test("portionOnLoan() is the whole body behind the head, in nobody's segment", () => {
  const loan = { bytes: new Uint8Array(5000) } as unknown as Loan;
  const portion = portionOnLoan(ASK, { ...FIRST, loan: 7 }, loan);
  expect(portion).toMatchObject({ firstByte: 100, expectedBytes: 5000, holdsSegment: false, loan });
  expect(portion.range).toEqual({ start: 0, end: 5000 });
  expect(portion.answer).toMatchObject({ bytes: 5000, last: true, payloadOffset: 0, loan: undefined });
});

test("isInterimHead() is one head of that status, and nothing behind it", () => {
  const is = (text: string, status = 103) => isInterimHead(Buffer.from(text, "latin1"), status);
  expect(is("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")).toBe(true);
  expect(is("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 100)).toBe(false);
  expect(is("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")).toBe(false);
  expect(is("HTTP/1.1 103 Early Hints\r\n")).toBe(false);
  expect(is("")).toBe(false);
});
