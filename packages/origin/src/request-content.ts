import { type Fields, type Framing, renderChunkHead, renderLastChunk } from "@proj/protocol";

/** Puts a request's content on the wire as its fields have announced it, and holds whoever sends it to that. */
export class RequestContent {
  /** Octets still to come of an announced length; `undefined`: chunked. */
  #remainingBytes: number | undefined;
  #isEnded = false;

  constructor(framing: Extract<Framing, { kind: "length" | "chunked" }>) {
    this.#remainingBytes = framing.kind === "length" ? framing.bytes : undefined;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /**
   * What goes around `bytes` octets of content (at least one) on the wire. @throws {RangeError} More than were
   * announced.
   */
  around(bytes: number): { before: string; after: string } {
    if (this.#isEnded) throw new RangeError(`Cannot send ${bytes} octets of content: it was ended`);
    if (this.#remainingBytes === undefined) return { before: renderChunkHead(bytes), after: "\r\n" };
    if (bytes > this.#remainingBytes) {
      throw new RangeError(`Cannot send ${bytes} octets of content: Content-Length leaves ${this.#remainingBytes}`);
    }
    this.#remainingBytes -= bytes;
    return { before: "", after: "" };
  }

  /**
   * What ends the content on the wire. @throws {RangeError} Fewer octets were sent than announced, or it was ended
   * before.
   */
  end(trailers: Fields | undefined): string {
    if (this.#isEnded) throw new RangeError("Cannot end the content: it was ended");
    if (this.#remainingBytes !== undefined && (this.#remainingBytes > 0 || trailers !== undefined)) {
      const reason =
        trailers === undefined ? `Content-Length leaves ${this.#remainingBytes}` : "only chunked has trailers";
      throw new RangeError(`Cannot end the content: ${reason}`);
    }
    this.#isEnded = true;
    return this.#remainingBytes === undefined ? renderLastChunk(trailers) : "";
  }
}
