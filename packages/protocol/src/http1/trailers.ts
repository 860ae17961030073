import { parseFieldLines } from "./field-lines.ts";
import { gatewayName } from "./field-names.ts";
import { Fields } from "./fields.ts";
import type { BodyLimits } from "./limits.ts";
import { type Malformed, malformed } from "./malformed.ts";
import { CR, LF, latin1 } from "./octets.ts";

/**
 * What RFC 9110 section 6.5.1 keeps out of trailers: framing, routing, request modifiers, authentication, and how to read
 * the content. A reader that merges them into the head would read another message than one that does not.
 */
const FORBIDDEN_IN_TRAILERS = new Set([
  ...["transfer-encoding", "content-length", "host", "trailer", "te", "connection", "upgrade", "keep-alive"],
  ...["cache-control", "expect", "max-forwards", "pragma", "range", "if-match", "if-none-match", "if-range"],
  ...["if-modified-since", "if-unmodified-since", "authorization", "proxy-authorization", "proxy-authenticate"],
  ...[
    "www-authenticate",
    "cookie",
    "set-cookie",
    "content-encoding",
    "content-type",
    "content-range",
    "location",
    "vary",
  ],
]);

/** Collects a trailer section, `*( field-line CRLF ) CRLF` after the last chunk (RFC 9112 section 7.1.2), and parses it. */
export class TrailerSection {
  private readonly limits: BodyLimits;
  private held = new Uint8Array(64);
  private heldBytes = 0;
  private lineBytes = 0;
  private afterCr = false;
  private hasEnded = false;

  constructor(limits: BodyLimits) {
    this.limits = limits;
  }

  /** Whether the empty line has come. */
  get ended(): boolean {
    return this.hasEnded;
  }

  /** Takes bytes up to the empty line; says how many. They are copied: the next ones may come in another buffer. */
  take(bytes: Uint8Array, start: number, end: number): number | Malformed {
    let at = start;
    while (at < end && !this.hasEnded) {
      const octet = bytes[at++]!;
      if (this.heldBytes === this.limits.trailerBytes) return malformed("trailer-too-large", 431);
      this.hold(octet);
      if (this.afterCr) {
        if (octet !== LF) return malformed("bare-cr");
        this.afterCr = false;
        this.hasEnded = this.lineBytes === 0;
        this.lineBytes = 0;
      } else if (octet === CR) this.afterCr = true;
      else if (octet === LF) return malformed("bare-lf");
      else this.lineBytes++;
    }
    return at - start;
  }

  /** The fields of the section that has {@link ended}. */
  parse(): Fields | Malformed {
    const text = latin1(this.held, 0, this.heldBytes);
    const fields = parseFieldLines(this.held, text, 0, 0, this.heldBytes, this.limits.trailerFields);
    if (!(fields instanceof Fields)) return fields;
    for (let i = 0; i < fields.length; i++) {
      if (FORBIDDEN_IN_TRAILERS.has(gatewayName(fields.lowerName(i)))) return malformed("trailer-forbidden");
    }
    return fields;
  }

  private hold(octet: number): void {
    if (this.heldBytes === this.held.length) {
      const grown = new Uint8Array(this.held.length * 2);
      grown.set(this.held);
      this.held = grown;
    }
    this.held[this.heldBytes++] = octet;
  }
}
