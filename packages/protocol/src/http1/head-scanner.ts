import { DEFAULT_HEAD_LIMITS, type HeadLimits } from "./limits.ts";
import { type Malformed, malformed } from "./malformed.ts";
import { CR, LF, SP } from "./octets.ts";

const START_LINE_TOO_LONG = malformed("start-line-too-long", 414);
const HEAD_TOO_LARGE = malformed("head-too-large", 431);
const BESIDE_METHOD_AND_TARGET = "  HTTP/1.1".length;

/**
 * Finds where a head ends. Remembers how far it has looked, so a head that is sent one byte at a time costs one look at
 * each byte; refuses as soon as it sees what no head may hold, so that nobody is waited for in vain.
 */
export class HeadScanner {
  private readonly limits: HeadLimits;
  private readonly startLineBytesMax: number;
  // Relative to the head's first byte: the caller may move the bytes between two looks.
  private looked = 0;
  private lineStart = 0;
  private lines = 0;
  private afterCr = false;

  constructor(limits: HeadLimits = DEFAULT_HEAD_LIMITS) {
    this.limits = limits;
    this.startLineBytesMax = limits.methodBytes + limits.targetBytes + BESIDE_METHOD_AND_TARGET;
  }

  /**
   * The offset just past the CRLF CRLF of the head that starts at `start`; `undefined` when it is not there yet.
   *
   * Until then the caller keeps the bytes and comes back with more; they may have moved, if `start` moved with them.
   * Once a head is found the scanner is ready for the next one. A refusal is final: the connection ends with it.
   *
   * @param end One past the last byte received. Bytes after the head are not looked at.
   */
  scan(bytes: Uint8Array, start: number, end: number): number | undefined | Malformed {
    let { lineStart, lines, afterCr } = this;
    for (let at = start + this.looked; at < end; at++) {
      const octet = bytes[at]!;
      if (afterCr) {
        if (octet !== LF) return malformed("bare-cr");
        afterCr = false;
        const lineBytes = at - 1 - start - lineStart;
        if (lineBytes > 0) {
          if (lines === 0) {
            if (lineBytes > this.startLineBytesMax) return START_LINE_TOO_LONG;
            if (!namesHttp(bytes, start + lineStart, at - 1)) return malformed("http-version");
          }
          lines++;
          if (lines > this.limits.fields + 1) return malformed("too-many-fields", 431);
        } else if (at > start + 1) {
          if (at + 1 - start > this.limits.headBytes) return HEAD_TOO_LARGE;
          this.reset();
          return at + 1;
        }
        lineStart = at + 1 - start;
      } else if (octet > CR) {
        // nearly every byte of nearly every head
      } else if (octet === CR) {
        afterCr = true;
      } else if (octet === LF) {
        return malformed("bare-lf");
      } else if (octet === 0) {
        return malformed("nul");
      }
    }
    if (lines === 0 && end - start - lineStart > this.startLineBytesMax + 1) return START_LINE_TOO_LONG;
    if (end - start >= this.limits.headBytes) return HEAD_TOO_LARGE;
    this.looked = end - start;
    this.lineStart = lineStart;
    this.lines = lines;
    this.afterCr = afterCr;
    return undefined;
  }

  /** Forgets what it has seen: the next {@link scan} starts a new head. */
  reset(): void {
    this.looked = 0;
    this.lineStart = 0;
    this.lines = 0;
    this.afterCr = false;
  }
}

/**
 * Whether a start line names HTTP at all, in front (responses) or at its end (requests). A client of HTTP/0.9 sends one
 * line and waits: it is told at once, not when its time is up.
 */
function namesHttp(bytes: Uint8Array, start: number, end: number): boolean {
  return isHttpSlash(bytes, start) || (end - start > 9 && bytes[end - 9] === SP && isHttpSlash(bytes, end - 8));
}

function isHttpSlash(bytes: Uint8Array, at: number): boolean {
  return (
    bytes[at] === 0x48 &&
    bytes[at + 1] === 0x54 &&
    bytes[at + 2] === 0x54 &&
    bytes[at + 3] === 0x50 &&
    bytes[at + 4] === 0x2f
  );
}
