import { GETFILE_HEADER_BYTES_MAX } from "./limits.ts";

/** Why a request is malformed. Stable: logs and tests name it. */
export type GetfileRequestFault =
  | "unknown-scheme"
  | "unknown-method"
  | "misplaced-space"
  | "path-without-slash"
  | "control-byte-in-path"
  | "bytes-after-path"
  | "header-too-long";

/** What a header read so far amounts to. `path` is as sent, one character for each octet. */
export type GetfileRequest =
  | { kind: "incomplete" }
  | { kind: "request"; path: string }
  | { kind: "malformed"; reason: GetfileRequestFault };

const SP = 0x20;
const CR = 0x0d;
const DEL = 0x7f;
const SLASH = 0x2f;

// Letters in upper case: the keywords are accepted in any case, as every reference server does.
const PREFIX = Buffer.from("GETFILE GET /", "latin1");
const TERMINATOR = Buffer.from("\r\n\r\n", "latin1");
const INCOMPLETE: GetfileRequest = { kind: "incomplete" };

/**
 * Reads one GETFILE request from however many pieces it arrives in, looking at each octet once.
 *
 * ```
 * request = "GETFILE" SP "GET" SP path [SP] CRLF CRLF      path starts with "/", holds no space and no control byte
 * ```
 *
 * The first octet that can not belong to a request decides, so a wrong keyword is refused before its line is
 * complete. Octets after the header are ignored, whether they come with it or later. Nothing of the pushed array is
 * kept.
 *
 * @example
 * const parser = new GetfileRequestParser();
 * const request = parser.push(chunk);
 * if (request.kind === "request") serve(request.path);
 */
export class GetfileRequestParser {
  #outcome: GetfileRequest = INCOMPLETE;
  #phase: "prefix" | "path" | "space" | "terminator" = "prefix";
  #headerBytes = 0;
  /** Octets of the prefix, then of the terminator, that have matched. */
  #matched = 0;
  #path = "/";

  /** Takes the next octets of the connection; once the outcome is known, every further call returns it again. */
  push(bytes: Uint8Array): GetfileRequest {
    if (this.#outcome.kind !== "incomplete") return this.#outcome;
    const end = Math.min(bytes.length, GETFILE_HEADER_BYTES_MAX - this.#headerBytes);
    let at = 0;
    while (at < end && this.#outcome.kind === "incomplete") {
      if (this.#phase === "path") at = this.#takePath(bytes, at, end);
      if (at < end) this.#outcome = this.#takeByte(bytes[at++]!);
    }
    this.#headerBytes += at;
    if (this.#outcome.kind === "incomplete" && this.#headerBytes === GETFILE_HEADER_BYTES_MAX) {
      this.#outcome = refused("header-too-long");
    }
    return this.#outcome;
  }

  /** Takes what belongs to the path, as one slice; the octet that ends it is left to `#takeByte`. */
  #takePath(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end && bytes[at]! > SP && bytes[at] !== DEL) at++;
    this.#path += Buffer.prototype.latin1Slice.call(bytes, start, at);
    return at;
  }

  #takeByte(byte: number): GetfileRequest {
    switch (this.#phase) {
      case "prefix":
        return this.#matchPrefix(byte);
      case "path":
        if (byte === CR) return this.#startTerminator();
        if (byte !== SP) return refused("control-byte-in-path");
        this.#phase = "space";
        return INCOMPLETE;
      case "space":
        if (byte === CR) return this.#startTerminator();
        return refused(byte === SP ? "misplaced-space" : "bytes-after-path");
      case "terminator":
        return this.#matchTerminator(byte);
    }
  }

  #matchPrefix(byte: number): GetfileRequest {
    const upper = byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte;
    if (upper !== PREFIX[this.#matched]) return refused(prefixFault(this.#matched, byte));
    if (++this.#matched === PREFIX.length) this.#phase = "path";
    return INCOMPLETE;
  }

  /** The CR that brought us here was the terminator's first octet. */
  #startTerminator(): GetfileRequest {
    this.#phase = "terminator";
    this.#matched = 1;
    return INCOMPLETE;
  }

  #matchTerminator(byte: number): GetfileRequest {
    if (byte !== TERMINATOR[this.#matched]) return refused("bytes-after-path");
    return ++this.#matched === TERMINATOR.length ? { kind: "request", path: this.#path } : INCOMPLETE;
  }
}

function refused(reason: GetfileRequestFault): GetfileRequest {
  return { kind: "malformed", reason };
}

function prefixFault(matched: number, byte: number): GetfileRequestFault {
  if (byte === SP) return "misplaced-space";
  if (PREFIX[matched] === SLASH) return "path-without-slash";
  return matched < PREFIX.indexOf(SP) ? "unknown-scheme" : "unknown-method";
}

/**
 * The request that asks for `path`, to be sent as latin1 (one character for each octet).
 *
 * @param path Starts with `/`. A space or a character beyond U+00FF has to be percent-encoded by the caller.
 * @throws {RangeError} `path` can not be asked for: no slash, a space, a control byte, a character that is no
 *   octet, or too long.
 */
export function formatRequest(path: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control octets are what this must find
  if (!/^\/[^\x00-\x20\x7f\u0100-\uffff]*$/.test(path)) {
    throw new RangeError(
      `Cannot ask for ${JSON.stringify(path)}: a GETFILE path starts with "/" and holds no space, control or wide character; percent-encode it`,
    );
  }
  const request = `GETFILE GET ${path}\r\n\r\n`;
  if (request.length > GETFILE_HEADER_BYTES_MAX) {
    throw new RangeError(
      `Cannot ask for a path of ${path.length} octets: a GETFILE header holds ${GETFILE_HEADER_BYTES_MAX}; use a shorter path`,
    );
  }
  return request;
}
