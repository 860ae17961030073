import { Fields } from "./fields.ts";
import type { Framing } from "./framing.ts";
import { type BodyLimits, DEFAULT_BODY_LIMITS } from "./limits.ts";
import { type Malformed, malformed } from "./malformed.ts";
import { CR, FIELD_OCTET, HEX_VALUE, LF, TCHAR } from "./octets.ts";
import { TrailerSection } from "./trailers.ts";

/** Where the decoder stands. All but `content`, `until-close` and `done` are between two bytes of the chunked coding. */
type Phase =
  | "content" // of known length, or of one chunk
  | "until-close"
  | "size-first" // the first digit of a chunk size
  | "size"
  | "size-lf"
  | "extension" // the first byte of an extension's name
  | "extension-name"
  | "extension-value" // the first byte of a value
  | "extension-token"
  | "extension-quoted"
  | "extension-escaped"
  | "extension-end" // after a quoted value
  | "content-cr"
  | "content-lf"
  | "trailer"
  | "done";

// 16^13 = 2^52: no chunk is that large, and every sum stays a safe integer.
const CHUNK_SIZE_DIGITS_MAX = 13;
const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * Takes a message body apart as its bytes come in, by its {@link Framing}. Content is handed out as ranges of the
 * caller's bytes; nothing but a trailer section that comes in pieces is copied.
 *
 * The chunked coding (RFC 9112 section 7.1) is taken as its grammar stands, without the whitespace that it tolerates
 * around extensions, since readers differ in where they stop to tolerate it.
 */
export class BodyDecoder {
  private readonly limits: BodyLimits;
  private readonly chunked: boolean;
  private phase: Phase;
  private remainingBytes = 0;
  private sizeDigits = 0;
  private unpaidExtensionBytes = 0;
  /** Made when there is one: most bodies have none. */
  private trailerSection: TrailerSection | undefined;
  private refused: Malformed | undefined;
  private trailerFields: Fields | undefined;

  constructor(framing: Framing, limits: BodyLimits = DEFAULT_BODY_LIMITS) {
    this.limits = limits;
    this.chunked = framing.kind === "chunked";
    this.phase = firstPhase(framing);
    if (framing.kind === "length") this.remainingBytes = framing.bytes;
  }

  /** Whether the body is whole. Bytes after it belong to the next message. */
  get done(): boolean {
    return this.phase === "done";
  }

  /** The trailer section, once {@link done}; `undefined` when there was none. */
  get trailers(): Fields | undefined {
    return this.trailerFields;
  }

  /**
   * Takes `bytes[start..end)` as the body's next bytes.
   *
   * @param onContent Called for each run of content with where it starts and ends in `bytes`; never with an empty run.
   * @returns How many bytes were taken: all of them, unless the body ended before. A refusal is final: every later
   *   call returns it again, and the content handed out before it must not be passed off as a whole body.
   */
  push(
    bytes: Uint8Array,
    start: number,
    end: number,
    onContent: (from: number, to: number) => void,
  ): number | Malformed {
    if (this.refused !== undefined) return this.refused;
    let at = start;
    while (at < end && this.phase !== "done") {
      if (this.phase === "content") at = this.takeContent(at, end, onContent);
      else if (this.phase === "until-close") {
        onContent(at, end);
        at = end;
      } else if (this.phase === "trailer") {
        const taken = this.takeTrailer(bytes, at, end);
        if (typeof taken === "object") return this.refuse(taken);
        at += taken;
      } else {
        const refused = this.takeChunkOctet(bytes[at++]!);
        if (refused !== undefined) return this.refuse(refused);
      }
    }
    return at - start;
  }

  /** The peer closed: whether what came is the whole body. A body that ends with the connection is now {@link done}. */
  end(): "complete" | "cut-short" {
    if (this.phase === "until-close") this.phase = "done";
    return this.phase === "done" ? "complete" : "cut-short";
  }

  private refuse(refused: Malformed): Malformed {
    this.refused = refused;
    return refused;
  }

  private takeContent(at: number, end: number, onContent: (from: number, to: number) => void): number {
    const to = Math.min(end, at + this.remainingBytes);
    this.remainingBytes -= to - at;
    this.unpaidExtensionBytes = Math.max(0, this.unpaidExtensionBytes - (to - at));
    // Before the call: a handler that throws leaves a decoder that agrees with what it was given.
    if (this.remainingBytes === 0) this.phase = this.chunked ? "content-cr" : "done";
    onContent(at, to);
    return to;
  }

  /** One byte between two runs of content: `chunk-size [ chunk-ext ] CRLF` and the CRLF after a chunk's data. */
  private takeChunkOctet(octet: number): Malformed | undefined {
    switch (this.phase) {
      case "size-first":
        this.sizeDigits = 0;
        return HEX_VALUE[octet] === 0xff ? malformed("chunk-size") : this.takeSizeDigit(octet);
      case "size":
        return HEX_VALUE[octet] === 0xff ? this.afterSizeOrExtension(octet, "chunk-size") : this.takeSizeDigit(octet);
      case "size-lf":
        if (octet !== LF) return malformed("bare-cr");
        this.phase = this.remainingBytes === 0 ? "trailer" : "content";
        return undefined;
      case "content-cr":
        if (octet !== CR) return malformed("chunk-end");
        this.phase = "content-lf";
        return undefined;
      case "content-lf":
        if (octet !== LF) return malformed("chunk-end");
        this.phase = "size-first";
        return undefined;
      default:
        return this.takeExtensionOctet(octet);
    }
  }

  private takeSizeDigit(octet: number): Malformed | undefined {
    if (++this.sizeDigits > CHUNK_SIZE_DIGITS_MAX) return malformed("chunk-size-too-large", 413);
    this.remainingBytes = this.remainingBytes * 16 + HEX_VALUE[octet]!;
    this.phase = "size";
    return undefined;
  }

  /** `chunk-ext = *( ";" chunk-ext-name [ "=" chunk-ext-val ] )`, RFC 9112 section 7.1.1. Checked, counted, dropped. */
  private takeExtensionOctet(octet: number): Malformed | undefined {
    if (++this.unpaidExtensionBytes > this.limits.chunkExtensionBytes)
      return malformed("chunk-extension-too-large", 413);
    const isToken = TCHAR[octet] === 1;
    switch (this.phase) {
      case "extension":
        this.phase = "extension-name";
        return isToken ? undefined : malformed("chunk-extension");
      case "extension-name":
        if (octet === EQUALS) this.phase = "extension-value";
        else if (!isToken) return this.afterSizeOrExtension(octet, "chunk-extension");
        return undefined;
      case "extension-value":
        this.phase = octet === QUOTE ? "extension-quoted" : "extension-token";
        return isToken || octet === QUOTE ? undefined : malformed("chunk-extension");
      case "extension-quoted":
        if (octet === QUOTE) this.phase = "extension-end";
        else if (octet === BACKSLASH) this.phase = "extension-escaped";
        return FIELD_OCTET[octet] === 1 ? undefined : malformed("chunk-extension");
      case "extension-escaped":
        this.phase = "extension-quoted";
        return FIELD_OCTET[octet] === 1 ? undefined : malformed("chunk-extension");
      default: // "extension-token", "extension-end"
        if (this.phase === "extension-token" && isToken) return undefined;
        return this.afterSizeOrExtension(octet, "chunk-extension");
    }
  }

  private afterSizeOrExtension(octet: number, otherwise: string): Malformed | undefined {
    if (octet === CR) this.phase = "size-lf";
    else if (octet === SEMICOLON) this.phase = "extension";
    else if (octet === LF) return malformed("bare-lf");
    else return malformed(otherwise);
    return undefined;
  }

  private takeTrailer(bytes: Uint8Array, at: number, end: number): number | Malformed {
    this.trailerSection ??= new TrailerSection(this.limits);
    const taken = this.trailerSection.take(bytes, at, end);
    if (typeof taken === "object" || !this.trailerSection.ended) return taken;
    const trailers = this.trailerSection.parse();
    if (!(trailers instanceof Fields)) return trailers;
    if (trailers.length > 0) this.trailerFields = trailers;
    this.phase = "done";
    return taken;
  }
}

function firstPhase(framing: Framing): Phase {
  switch (framing.kind) {
    case "none":
      return "done";
    case "length":
      return framing.bytes === 0 ? "done" : "content";
    case "chunked":
      return "size-first";
    case "until-close":
      return "until-close";
  }
}
