import { parseFieldLines } from "./field-lines.ts";
import { Fields } from "./fields.ts";
import { DEFAULT_HEAD_LIMITS, type HeadLimits } from "./limits.ts";
import { type Malformed, malformed } from "./malformed.ts";
import { CR, FIELD_OCTET, LF, latin1, SP, TARGET_OCTET, TCHAR } from "./octets.ts";

/** A request's start line and fields, as sent. `headBytes` counts all bytes of the head, the empty line included. */
export interface RequestHead {
  kind: "request";
  method: string;
  target: string;
  minorVersion: 0 | 1;
  fields: Fields;
  headBytes: number;
}

/** A response's start line and fields, as sent. `reason` is for people only, often empty, and latin1. */
export interface ResponseHead {
  kind: "response";
  status: number;
  reason: string;
  minorVersion: 0 | 1;
  fields: Fields;
  headBytes: number;
}

// Responses have one answer only: whoever asked for it is told that the gateway could not use it.
const BAD_GATEWAY = 502;

/**
 * Reads a request head that {@link HeadScanner.scan} has found the end of. The strings of the result are copies; `bytes`
 * may be reused. Nothing is repaired: what RFC 9112 lets a recipient tolerate (bare LF, obs-fold, whitespace before the
 * colon) is refused, since the next reader may tolerate it in another way. One empty line before the request line is
 * taken (RFC 9112 section 2.2).
 *
 * @param end One past the CRLF CRLF that ends the head.
 * @returns The head, or why it is refused. Framing, Host and the target's form are separate questions: see
 *   {@link requestFraming}, {@link checkHost} and {@link parseTarget}.
 */
export function parseRequestHead(
  bytes: Uint8Array,
  start: number,
  end: number,
  limits: HeadLimits = DEFAULT_HEAD_LIMITS,
): RequestHead | Malformed {
  const tooLong = checkEnds(bytes, start, end, limits);
  if (tooLong !== undefined) return tooLong;
  let at = bytes[start] === CR && bytes[start + 1] === LF ? start + 2 : start;
  const text = latin1(bytes, start, end);

  // RFC 9112 section 3: request-line = method SP request-target SP HTTP-version. Each loop ends at the final CR at the latest.
  const methodStart = at;
  while (TCHAR[bytes[at]!] === 1) at++;
  if (bytes[at] !== SP || at === methodStart) return malformed("method");
  if (at - methodStart > limits.methodBytes) return malformed("method-too-long", 501);
  const method = text.substring(methodStart - start, at - start);
  if (isStandardMethodInWrongCase(method)) return malformed("method-case");

  const targetStart = ++at;
  while (TARGET_OCTET[bytes[at]!] === 1) at++;
  if (at - targetStart > limits.targetBytes) return malformed("target-too-long", 414);
  if (bytes[at] !== SP || at === targetStart) return malformed("target");
  const target = text.substring(targetStart - start, at - start);

  const minorVersion = parseVersion(bytes, at + 1, CR, 505);
  if (typeof minorVersion === "object") return minorVersion;
  at += 1 + VERSION_BYTES;
  if (bytes[at] !== CR) return malformed("http-version");
  if (bytes[at + 1] !== LF) return malformed("bare-cr");

  const fields = parseFieldLines(bytes, text, start, at + 2, end, limits.fields);
  if (!(fields instanceof Fields)) return fields;
  return { kind: "request", method, target, minorVersion, fields, headBytes: end - start };
}

/**
 * Reads a response head that {@link HeadScanner.scan} has found the end of. As {@link parseRequestHead}, but that every
 * refusal has status 502. A missing space after the status code is taken, as every peer does: it can be read in one way only.
 */
export function parseResponseHead(
  bytes: Uint8Array,
  start: number,
  end: number,
  limits: HeadLimits = DEFAULT_HEAD_LIMITS,
): ResponseHead | Malformed {
  const tooLong = checkEnds(bytes, start, end, limits);
  if (tooLong !== undefined) return asBadGateway(tooLong);

  // RFC 9112 section 4: status-line = HTTP-version SP status-code SP [ reason-phrase ]
  const minorVersion = parseVersion(bytes, start, SP, BAD_GATEWAY);
  if (typeof minorVersion === "object") return asBadGateway(minorVersion);
  let at = start + VERSION_BYTES;
  if (bytes[at] !== SP) return malformed("http-version", BAD_GATEWAY);
  const status = parseStatus(bytes, at + 1);
  if (status === undefined) return malformed("status", BAD_GATEWAY);
  at += 4;
  if (bytes[at] === SP) at++;
  else if (bytes[at] !== CR) return malformed("status", BAD_GATEWAY);

  const reasonStart = at;
  while (FIELD_OCTET[bytes[at]!] === 1) at++;
  if (bytes[at] !== CR) return malformed("reason", BAD_GATEWAY);
  if (bytes[at + 1] !== LF) return malformed("bare-cr", BAD_GATEWAY);
  if (at - reasonStart > limits.reasonBytes) return malformed("reason-too-long", BAD_GATEWAY);
  const text = latin1(bytes, start, end);
  const reason = text.substring(reasonStart - start, at - start);

  const fields = parseFieldLines(bytes, text, start, at + 2, end, limits.fields);
  if (!(fields instanceof Fields)) return asBadGateway(fields);
  return { kind: "response", status, reason, minorVersion, fields, headBytes: end - start };
}

const VERSION_BYTES = "HTTP/1.1".length;

/**
 * The minor version of the `HTTP/1.x` at `at`, which `after` must follow. 1.2 to 1.9 were never specified and no peer
 * takes them, so they are answered like 2.0: 505. What is not `HTTP/` DIGIT `.` DIGIT is no version at all: 400.
 */
function parseVersion(bytes: Uint8Array, at: number, after: number, unsupportedStatus: number): 0 | 1 | Malformed {
  const isHttp =
    bytes[at] === 0x48 &&
    bytes[at + 1] === 0x54 &&
    bytes[at + 2] === 0x54 &&
    bytes[at + 3] === 0x50 &&
    bytes[at + 4] === 0x2f;
  const major = bytes[at + 5]! - 0x30;
  const minor = bytes[at + 7]! - 0x30;
  if (!isHttp || bytes[at + 6] !== 0x2e || bytes[at + 8] !== after) return malformed("http-version");
  if (major === 1 && (minor === 0 || minor === 1)) return minor;
  const isVersion = major >= 0 && major <= 9 && minor >= 0 && minor <= 9;
  return isVersion ? malformed("http-version-unsupported", unsupportedStatus) : malformed("http-version");
}

/** Three digits from 100 to 599 (RFC 9110 section 15: values outside are invalid). */
function parseStatus(bytes: Uint8Array, at: number): number | undefined {
  const hundreds = bytes[at]! - 0x30;
  const tens = bytes[at + 1]! - 0x30;
  const ones = bytes[at + 2]! - 0x30;
  if (hundreds < 1 || hundreds > 5 || tens < 0 || tens > 9 || ones < 0 || ones > 9) return undefined;
  return hundreds * 100 + tens * 10 + ones;
}

// RFC 9110 section 9.1: methods are case-sensitive, so "get" is not GET; but there are servers that take it for GET, and
// then its answer would be one for GET under the rules for an unknown method. Others in lower case are unknown methods.
const STANDARD_METHODS = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]);

function isStandardMethodInWrongCase(method: string): boolean {
  if (method === "GET" || STANDARD_METHODS.has(method)) return false;
  return STANDARD_METHODS.has(method.toUpperCase());
}

/** The loops above and below stop at the final CR without looking at `end`: so it has to be there. */
function checkEnds(bytes: Uint8Array, start: number, end: number, limits: HeadLimits): Malformed | undefined {
  const ended =
    end - start >= 4 &&
    bytes[end - 1] === LF &&
    bytes[end - 2] === CR &&
    bytes[end - 3] === LF &&
    bytes[end - 4] === CR;
  if (!ended) return malformed("head-incomplete");
  return end - start > limits.headBytes ? malformed("head-too-large", 431) : undefined;
}

function asBadGateway(refused: Malformed): Malformed {
  return malformed(refused.reason, BAD_GATEWAY);
}
