import { LAST_CHUNK, type PortionAnswer, type ResponseAnswer, renderChunkHead, writeLatin1 } from "@proj/protocol";
import { type OutgoingFraming, renderHeadStart } from "../response-head.ts";

const CRLF = "\r\n";
const LAST_CHUNK_HEAD = "0\r\n";

/** Puts around the portions of one response what they need on the wire: the start of the head, chunk heads, the last chunk. */
export class PortionFramer {
  /** Whether more than the portions' own bytes goes out with each. */
  framesBody = false;
  /** Rendered, not yet out: it leaves with the first portion. */
  #head = "";
  #headBytesLeft = 0;
  #inTrailers = false;

  begin(response: ResponseAnswer, framing: OutgoingFraming, connection: "keep-alive" | "close" | undefined): void {
    this.framesBody = framing.kind === "chunked";
    this.#head = renderHeadStart(response, framing, connection);
    this.#headBytesLeft = response.headBytes;
    this.#inTrailers = false;
  }

  /** See {@link ResponseSink.frame}. */
  frame(segment: Uint8Array, portion: PortionAnswer): { start: number; end: number } {
    const { payloadOffset, bytes, last } = portion;
    if (portion.trailers) return this.#frameTrailers(segment, portion);
    const isHead = this.#headBytesLeft > 0;
    this.#headBytesLeft = Math.max(0, this.#headBytesLeft - bytes);
    const isChunk = this.framesBody && !isHead && bytes > 0;
    const before = isChunk ? this.#head + renderChunkHead(bytes) : this.#head;
    const after = (isChunk ? CRLF : "") + (this.framesBody && last ? LAST_CHUNK : "");
    this.#head = "";
    const start = payloadOffset - before.length;
    if (before === "" && after === "") return { start, end: payloadOffset + bytes };
    writeLatin1(segment, before, start);
    writeLatin1(segment, after, payloadOffset + bytes);
    return { start, end: payloadOffset + bytes + after.length };
  }

  /** RFC 9112 section 7.1.2: behind the last chunk. */
  #frameTrailers(segment: Uint8Array, { payloadOffset, bytes, last }: PortionAnswer): { start: number; end: number } {
    if (!this.framesBody) return { start: payloadOffset, end: payloadOffset };
    const before = this.#inTrailers ? "" : LAST_CHUNK_HEAD;
    this.#inTrailers = !last;
    const after = last ? CRLF : "";
    writeLatin1(segment, before, payloadOffset - before.length);
    writeLatin1(segment, after, payloadOffset + bytes);
    return { start: payloadOffset - before.length, end: payloadOffset + bytes + after.length };
  }
}
