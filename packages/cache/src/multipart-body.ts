import { type ByteRange, frameMultipartByteranges } from "@proj/protocol";
import type { ReadableBody } from "./reply.ts";

/** What stands at `start` of the multipart body: text of its own, or bytes of the whole from `from` on. */
type Piece = { readonly start: number; readonly end: number } & ({ readonly text: Buffer } | { readonly from: number });

/** Several ranges of one body as multipart/byteranges (RFC 9110 section 14.6), read as if it were stored. */
export class MultipartBody implements ReadableBody {
  readonly contentType: string;
  readonly bytes: number;
  readonly #body: ReadableBody;
  readonly #pieces: readonly Piece[];

  /**
   * @param body Holds all of the bytes already.
   * @param boundary See `frameMultipartByteranges`.
   */
  constructor(
    body: ReadableBody,
    ranges: readonly ByteRange[],
    whole: { completeBytes: number; contentType: string | undefined },
    boundary: string,
  ) {
    const frame = frameMultipartByteranges(ranges, whole.completeBytes, whole.contentType, boundary);
    this.contentType = frame.contentType;
    this.bytes = frame.contentLengthBytes;
    this.#body = body;
    this.#pieces = piecesOf(ranges, frame.partHeads, frame.end);
  }

  read(position: number, into: Uint8Array, only?: "at-hand"): number {
    const piece = this.#pieceAt(position);
    if (piece === undefined) return 0;
    const within = position - piece.start;
    const count = Math.min(into.length, piece.end - position);
    if ("text" in piece) return piece.text.copy(into, 0, within, within + count);
    return this.#body.read(piece.from + within, into.subarray(0, count), only);
  }

  load(position: number, bytes: number): Promise<void> | undefined {
    const piece = this.#pieceAt(position);
    if (piece === undefined || "text" in piece) return undefined;
    return this.#body.load?.(piece.from + position - piece.start, Math.min(bytes, piece.end - position));
  }

  #pieceAt(position: number): Piece | undefined {
    return this.#pieces.find(({ end }) => position < end);
  }

  retain(): void {
    this.#body.retain();
  }

  release(): void {
    this.#body.release();
  }
}

function piecesOf(ranges: readonly ByteRange[], partHeads: readonly string[], end: string): Piece[] {
  const pieces: Piece[] = [];
  let start = 0;
  const addText = (text: string) => {
    pieces.push({ start, end: start + text.length, text: Buffer.from(text, "latin1") });
    start += text.length;
  };
  for (const [index, range] of ranges.entries()) {
    addText(partHeads[index]!);
    const bytes = range.end - range.start;
    pieces.push({ start, end: start + bytes, from: range.start });
    start += bytes;
  }
  addText(end);
  return pieces;
}
