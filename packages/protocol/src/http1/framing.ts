import type { RequestHead, ResponseHead } from "./head.ts";
import { listElements } from "./list.ts";
import { type Malformed, malformed } from "./malformed.ts";

/** How a message's body ends: not there at all, after so many bytes, after the last chunk, or when the peer closes. */
export type Framing =
  | { kind: "none" }
  | { kind: "length"; bytes: number }
  | { kind: "chunked" }
  | { kind: "until-close" };

const NONE: Framing = { kind: "none" };
const CHUNKED: Framing = { kind: "chunked" };
const UNTIL_CLOSE: Framing = { kind: "until-close" };

/**
 * How the body of a request ends (RFC 9112 section 6.3). What RFC 9112 lets a recipient resolve (Transfer-Encoding beside
 * Content-Length, a length repeated) is refused: the next reader may resolve it in another way.
 *
 * A CONNECT with a body is refused too: what follows its head is the tunnel's or the body's, depending on who reads it.
 */
export function requestFraming(head: RequestHead): Framing | Malformed {
  const framing = fieldFraming(head, "request");
  if (framing === undefined) return NONE;
  if (head.method === "CONNECT" && framing.kind !== "malformed") return malformed("connect-with-content");
  return framing;
}

/**
 * How the body of a final or informational response ends (RFC 9112 section 6.3). `{ kind: "none" }` for an answer to HEAD,
 * 1xx, 204, 304 and 2xx to CONNECT, whatever their fields say; fields that contradict each other are refused even there.
 *
 * @param requestMethod The method of the request that this answers, as it was sent.
 */
export function responseFraming(requestMethod: string, head: ResponseHead): Framing | Malformed {
  const framing = fieldFraming(head, "response") ?? UNTIL_CLOSE;
  if (framing.kind === "malformed") return malformed(framing.reason, 502);
  return neverHasContent(requestMethod, head.status) ? NONE : framing;
}

/**
 * Whether the connection can carry another message after this one, as far as this side's head says (RFC 9112 section
 * 9.3). A body that ends with the connection (`until-close`) ends it all the same, and so does anything malformed.
 */
export function keepsAlive(head: RequestHead | ResponseHead): boolean {
  const connection = head.fields.get("connection");
  if (connection === undefined) return head.minorVersion === 1;
  if (connection === "keep-alive") return true; // nearly all there is
  const options = listElements(head.fields, "connection");
  if (options.includes("close")) return false;
  return head.minorVersion === 1 || options.includes("keep-alive");
}

function neverHasContent(requestMethod: string, status: number): boolean {
  if (status < 200 || status === 204 || status === 304 || requestMethod === "HEAD") return true;
  return requestMethod === "CONNECT" && status < 300;
}

/** What Transfer-Encoding and Content-Length say together; `undefined` when neither is there. */
function fieldFraming(head: RequestHead | ResponseHead, kind: "request" | "response"): Framing | Malformed | undefined {
  const { fields } = head;
  const lengths = fields.count("content-length");
  if (fields.has("transfer-encoding")) {
    // RFC 9112 section 6.1: "ought to be handled as an error"; the oldest way to smuggle a request.
    if (lengths > 0) return malformed("content-length-with-transfer-encoding");
    return transferEncodingFraming(head, kind);
  }
  if (lengths === 0) return undefined;
  // RFC 9112 section 6.3 rule 5 allows to fold a repeated length. Two lines, or "5, 5", come from two writers: refused.
  if (lengths > 1) return malformed("content-length-repeated");
  const bytes = parseContentLength(fields.get("content-length")!);
  if (bytes === undefined) return malformed("content-length");
  return bytes === 0 && kind === "request" ? NONE : { kind: "length", bytes };
}

/** Exactly `chunked`, once, in HTTP/1.1. No other coding is understood (RFC 9112 section 6.1: 501), none may follow it. */
function transferEncodingFraming(head: RequestHead | ResponseHead, kind: "request" | "response"): Framing | Malformed {
  // RFC 9112 section 6.1: HTTP/1.0 has no transfer codings; the framing is faulty even if a length were there.
  if (head.minorVersion === 0) return malformed("transfer-encoding-in-http-1.0");
  const codings = listElements(head.fields, "transfer-encoding");
  if (codings.length === 1 && codings[0] === "chunked") return CHUNKED;
  if (kind === "response" && codings.length === 1 && isNoCoding(codings[0]!)) return UNTIL_CLOSE;
  const finalOnly = codings.indexOf("chunked") === codings.length - 1;
  if (!finalOnly || !codings.every(isCoding)) return malformed("transfer-encoding");
  return malformed("transfer-coding-unknown", kind === "request" ? 501 : 502);
}

/** The transfer codings there are (RFC 9112 section 7, IANA), and `identity` that there was. */
const CODINGS = new Set(["chunked", "compress", "x-compress", "deflate", "gzip", "x-gzip", "identity"]);

/**
 * A word that names no transfer coding and can not be taken for one: nobody can have coded anything by it. RFC 9112 section 6.3 rule 4: the content of
 * such a response ends with the connection. One that is coded by a real coding is refused: we could neither decode it nor pass it on.
 */
function isNoCoding(element: string): boolean {
  return isCoding(element) && !CODINGS.has(element) && !element.includes("chunked");
}

const CODING = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;

function isCoding(element: string): boolean {
  return CODING.test(element);
}

// 16 digits hold every safe integer (2^53 - 1 = 9,007,199,254,740,991); longer ones overflow somebody.
const CONTENT_LENGTH = /^[0-9]{1,16}$/;

/** `1*DIGIT` (RFC 9110 section 8.6) as a number of bytes; `undefined` for anything else and beyond 2^53 - 1. */
export function parseContentLength(value: string): number | undefined {
  if (!CONTENT_LENGTH.test(value)) return undefined;
  const bytes = Number(value);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
