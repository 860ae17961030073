/** What is known of a stream (head block, then body, then perhaps a trailer section) at this moment. */
export interface StreamState {
  headBytes: number;
  /** Body bytes that can be read now. */
  bodyAvailable: number;
  /** Length of the body; undefined while nobody knows it. */
  bodyBytes: number | undefined;
  /** Length of the trailer section behind it; above 0 only where the body is whole and goes out in chunks. */
  trailerBytes: number;
  /**
   * The proxy frames the body itself: its length was not known when the head went out, or trailers follow it. A portion then holds bytes of one part
   * only, to the end of the stream, whatever is known of it by then.
   */
  isInParts: boolean;
}

/** Bytes of which parts of the stream, where in them: head block and body, or of the trailer section. */
export interface Portion {
  kind: "portion";
  headFrom: number;
  headBytes: number;
  bodyFrom: number;
  bodyBytes: number;
  trailerFrom: number;
  trailerBytes: number;
  last: boolean;
}

export type PortionPlan =
  | Portion
  /** Nothing is there yet. */
  | { kind: "wait" }
  /** The stream has no such byte. */
  | { kind: "beyond" };

/** Which bytes of the parts go into a portion of at most `bytesMax` bytes that starts at `firstByte` of the stream. */
export function planPortion(stream: StreamState, firstByte: number, bytesMax: number): PortionPlan {
  const { headBytes, bodyAvailable, bodyBytes, trailerBytes, isInParts } = stream;
  const end = bodyBytes === undefined ? undefined : headBytes + bodyBytes + trailerBytes;
  if (end !== undefined && firstByte > end) return { kind: "beyond" };
  const headFrom = Math.min(firstByte, headBytes);
  const fromHead = Math.min(bytesMax, headBytes - headFrom);
  const bodyFrom = Math.max(0, firstByte - headBytes);
  const headEnds = headFrom + fromHead === headBytes;
  const mayMix = fromHead === 0 || !isInParts;
  const fromBody = headEnds && mayMix ? Math.max(0, Math.min(bytesMax - fromHead, bodyAvailable - bodyFrom)) : 0;
  const trailerFrom = Math.max(0, firstByte - headBytes - (bodyBytes ?? 0));
  const fromTrailers = fromHead + fromBody > 0 ? 0 : Math.max(0, Math.min(bytesMax, trailerBytes - trailerFrom));
  const bytes = fromHead + fromBody + fromTrailers;
  const last = end !== undefined && firstByte + bytes === end;
  if (bytes === 0 && !last) return { kind: "wait" };
  return {
    kind: "portion",
    headFrom,
    headBytes: fromHead,
    bodyFrom,
    bodyBytes: fromBody,
    trailerFrom,
    trailerBytes: fromTrailers,
    last,
  };
}

/** Up to where the stream could be given out in one piece behind a portion that ends at `endByte`: the end of a part is the end of a portion. */
export function availableBehind(stream: StreamState, endByte: number): number {
  const { headBytes, bodyAvailable, trailerBytes, isInParts } = stream;
  if (isInParts && endByte < headBytes) return headBytes;
  const bodyEnd = headBytes + bodyAvailable;
  return endByte < bodyEnd ? bodyEnd : bodyEnd + trailerBytes;
}
