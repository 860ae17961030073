import { FIRST_PAYLOAD_OFFSET, NEXT_PAYLOAD_OFFSET, type PortionAnswer } from "@proj/protocol";
import type { Ask } from "./cache-client.ts";
import type { Loan } from "./loan-table.ts";
import type { Sending } from "./transfer.ts";

/** A part of a stream of bytes, from when it is asked for until it is sent. */
export interface Portion {
  readonly ask: Ask;
  /** Where in the stream it was asked for. */
  readonly firstByte: number;
  /** What it must be long; undefined: as long as the cache likes. */
  readonly expectedBytes: number | undefined;
  answer: PortionAnswer | undefined;
  /** What still goes out: offsets into `bytes`; undefined until it is framed. */
  range: { start: number; end: number } | undefined;
  bytes: Uint8Array;
  /** Where `bytes` are the whole of a body on loan. */
  readonly loan?: Loan;
  /** False once the bytes were copied out and the segment went back. */
  holdsSegment: boolean;
}

export function newPortion(ask: Ask, firstByte: number, expectedBytes?: number): Portion {
  const { bytes } = ask.segment;
  return { ask, firstByte, expectedBytes, answer: undefined, range: undefined, bytes, holdsSegment: true };
}

/** The body on loan is one more portion, in nobody's segment. @param answer Of the portion before it, which brings the head. */
export function portionOnLoan(
  ask: Ask,
  answer: PortionAnswer,
  loan: Loan,
): Portion & { readonly answer: PortionAnswer } {
  const { bytes } = loan;
  return {
    ask,
    firstByte: answer.bytes,
    expectedBytes: bytes.length,
    answer: { ...answer, bytes: bytes.length, last: true, payloadOffset: 0, loan: undefined },
    range: { start: 0, end: bytes.length },
    bytes,
    loan,
    holdsSegment: false,
  };
}

/**
 * Whether an answer can be what was asked for, as far as the header shows: nothing of it may make us read or write where it is not, or ask without end.
 *
 * @param sending What has come of the stream; undefined: nothing yet.
 * @param acceptsLoan Whether it was said that the body may be lent.
 */
export function canAnswer(
  { expectedBytes, firstByte }: Portion,
  answer: PortionAnswer,
  sending: Sending | undefined,
  acceptsLoan: boolean,
): boolean {
  const { bytes, last, loan, trailers, payloadOffset } = answer;
  if (firstByte !== (sending?.arrivedBytes ?? 0)) return false;
  if (expectedBytes !== undefined && bytes !== expectedBytes) return false;
  // What goes before it on the wire is written there.
  if (payloadOffset < (sending === undefined ? FIRST_PAYLOAD_OFFSET : NEXT_PAYLOAD_OFFSET)) return false;
  if (loan !== undefined) return sending === undefined && acceptsLoan;
  if (bytes === 0 && !last) return false;
  return !trailers || (sending !== undefined && sending.endBytes === undefined);
}

/** Whether that is one interim response as it goes out: it reaches the client as it is. */
export function isInterimHead(message: Uint8Array, status: number): boolean {
  const text = Buffer.from(message.buffer, message.byteOffset, message.length).toString("latin1");
  return text.startsWith(`HTTP/1.1 ${status} `) && text.indexOf("\r\n\r\n") === text.length - 4;
}
