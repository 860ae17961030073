import { GETFILE_HEADER_BYTES_MAX } from "./limits.ts";
import type { GetfileStatus } from "./status.ts";

/**
 * Which of the two protocols in use a client speaks: `crlf` is the written one, `pr3` that of the closed library that
 * the original proxy was linked with. Requests are the same, so nothing on the wire tells them apart.
 */
export type GetfileWire = "crlf" | "pr3";

/** What a server answers. `length` in octets. */
export type GetfileOutcome =
  | { status: "OK"; length: number | bigint }
  | { status: "FILE_NOT_FOUND" | "ERROR" | "INVALID" };

const LENGTH_MAX = 2n ** 64n - 1n;

/**
 * The octets before the body, as latin1.
 *
 * ```
 *                crlf                      pr3
 * found          GETFILE OK n CRLF CRLF    GETFILE OK n SP      body follows at once
 * empty file     GETFILE OK 0 SP CRLF CRLF                      both: each client reads as far as it needs
 * otherwise      GETFILE status SP CRLF CRLF                    both: without the space a pr3 client hangs
 * ```
 *
 * @throws {RangeError} A length that is negative, fractional, not exact, or beyond 2^64-1: our own fault, never the
 *   client's.
 */
export function formatResponseHead(wire: GetfileWire, outcome: GetfileOutcome): string {
  if (outcome.status !== "OK") return `GETFILE ${outcome.status} \r\n\r\n`;
  const { length } = outcome;
  const isExact =
    typeof length === "bigint" ? length >= 0n && length <= LENGTH_MAX : Number.isSafeInteger(length) && length >= 0;
  if (!isExact)
    throw new RangeError(`Cannot say a GETFILE length of ${length}: not a whole number of octets from 0 to 2^64-1`);
  if (length === 0 || length === 0n) return "GETFILE OK 0 \r\n\r\n";
  return wire === "crlf" ? `GETFILE OK ${length}\r\n\r\n` : `GETFILE OK ${length} `;
}

/** Why a server's head is malformed. `wrong-wire`: it reads like the other wire. */
export type GetfileResponseFault =
  | "unknown-scheme"
  | "unknown-status"
  | "no-length"
  | "length-beyond-2^64"
  | "length-beyond-2^53"
  | "wrong-wire"
  | "bytes-after-status"
  | "header-too-long";

/**
 * What a head read so far amounts to. `bodyStart` is the offset of the first body octet in the array that completed
 * the head (it may be that array's length); `length` is 0 unless the status is `OK`.
 */
export type GetfileResponse =
  | { kind: "incomplete" }
  | { kind: "response"; status: GetfileStatus; length: number; bodyStart: number }
  | { kind: "malformed"; reason: GetfileResponseFault };

const SP = 0x20;
const CR = 0x0d;
const TERMINATOR = "\r\n\r\n";
const SCHEME = "GETFILE ";
const STATUSES: readonly GetfileStatus[] = ["OK", "FILE_NOT_FOUND", "ERROR", "INVALID"];
const STATUS_BYTES_MAX = Math.max(...STATUSES.map((status) => status.length));
const LENGTH_DIGITS_MAX = 20; // 2^64-1 has twenty
const INCOMPLETE: GetfileResponse = { kind: "incomplete" };

/**
 * Reads a server's head, the client's side of both wires, one octet at a time if need be.
 *
 * The body is the caller's: exactly `length` octets from `bodyStart` on. An end of stream before that is a failure,
 * and so is one while this says `incomplete`; octets past it are ignored. A length beyond 2^53-1 is refused as
 * `length-beyond-2^53` and never rounded: no file system here holds such a file. A pr3 head given to a `crlf` parser
 * (or the reverse) is `wrong-wire`, except where the body itself begins with CR LF CR LF and nothing could tell.
 *
 * @example
 * const head = new GetfileResponseParser("crlf").push(chunk);
 * if (head.kind === "response" && head.status === "OK") write(chunk.subarray(head.bodyStart, head.bodyStart + head.length));
 */
export class GetfileResponseParser {
  readonly #wire: GetfileWire;
  #outcome: GetfileResponse = INCOMPLETE;
  #phase: "scheme" | "status" | "length" | "space" | "terminator" = "scheme";
  #headerBytes = 0;
  #matched = 0;
  #word = "";
  #status: GetfileStatus = "ERROR";
  #length = 0;

  constructor(wire: GetfileWire) {
    this.#wire = wire;
  }

  /** Takes the next octets; once the outcome is known, every further call returns it again. */
  push(bytes: Uint8Array): GetfileResponse {
    for (let at = 0; at < bytes.length && this.#outcome.kind === "incomplete"; at++) {
      this.#outcome = this.#takeByte(bytes[at]!, at + 1);
      if (++this.#headerBytes === GETFILE_HEADER_BYTES_MAX && this.#outcome.kind === "incomplete") {
        this.#outcome = refused("header-too-long");
      }
    }
    return this.#outcome;
  }

  #takeByte(byte: number, next: number): GetfileResponse {
    switch (this.#phase) {
      case "scheme":
        return this.#matchScheme(byte);
      case "status":
        return byte === SP || byte === CR ? this.#endStatus(byte, next) : this.#takeStatus(byte);
      case "length":
        return byte === SP || byte === CR ? this.#endLength(byte, next) : this.#takeDigit(byte);
      case "space":
        return byte === CR
          ? this.#startTerminator()
          : refused(this.#status === "OK" ? "wrong-wire" : "bytes-after-status");
      case "terminator":
        return this.#matchTerminator(byte, next);
    }
  }

  #matchScheme(byte: number): GetfileResponse {
    if (String.fromCharCode(byte).toUpperCase() !== SCHEME[this.#matched]) return refused("unknown-scheme");
    if (++this.#matched === SCHEME.length) this.#phase = "status";
    return INCOMPLETE;
  }

  #takeStatus(byte: number): GetfileResponse {
    this.#word += String.fromCharCode(byte).toUpperCase();
    return this.#word.length > STATUS_BYTES_MAX ? refused("unknown-status") : INCOMPLETE;
  }

  #endStatus(byte: number, next: number): GetfileResponse {
    const status = STATUSES.find((candidate) => candidate === this.#word);
    if (status === undefined) return refused("unknown-status");
    this.#status = status;
    this.#word = "";
    if (status !== "OK") return this.#endFields(byte, next);
    if (byte === CR) return refused("no-length");
    this.#phase = "length";
    return INCOMPLETE;
  }

  #takeDigit(byte: number): GetfileResponse {
    if (byte < 0x30 || byte > 0x39) return refused("no-length");
    this.#word += String.fromCharCode(byte);
    return this.#word.length > LENGTH_DIGITS_MAX ? refused("length-beyond-2^64") : INCOMPLETE;
  }

  #endLength(byte: number, next: number): GetfileResponse {
    if (this.#word === "") return refused("no-length");
    const length = BigInt(this.#word);
    if (length > LENGTH_MAX) return refused("length-beyond-2^64");
    if (length > BigInt(Number.MAX_SAFE_INTEGER)) return refused("length-beyond-2^53");
    if (this.#wire === "pr3" && byte === CR) return refused("wrong-wire");
    this.#length = Number(length);
    return this.#endFields(byte, next);
  }

  /** The pr3 head ends at its space; whatever follows a status without a body there is past the length and ignored. */
  #endFields(byte: number, next: number): GetfileResponse {
    if (byte === CR) return this.#startTerminator();
    if (this.#wire === "pr3") return this.#completed(next);
    this.#phase = "space";
    return INCOMPLETE;
  }

  #startTerminator(): GetfileResponse {
    this.#phase = "terminator";
    this.#matched = 1;
    return INCOMPLETE;
  }

  #matchTerminator(byte: number, next: number): GetfileResponse {
    if (byte !== TERMINATOR.charCodeAt(this.#matched)) return refused("bytes-after-status");
    return ++this.#matched === TERMINATOR.length ? this.#completed(next) : INCOMPLETE;
  }

  #completed(bodyStart: number): GetfileResponse {
    return { kind: "response", status: this.#status, length: this.#length, bodyStart };
  }
}

function refused(reason: GetfileResponseFault): GetfileResponse {
  return { kind: "malformed", reason };
}
