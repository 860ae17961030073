/** What is known of a stream (head block, then body) at this moment. */
export interface StreamState {
  headBytes: number;
  /** Body bytes that can be read now. */
  bodyAvailable: number;
  /** Length of the body; undefined while nobody knows it. */
  bodyBytes: number | undefined;
}

export type PortionPlan =
  | { kind: "portion"; headFrom: number; headBytes: number; bodyFrom: number; bodyBytes: number; last: boolean }
  /** Nothing is there yet. */
  | { kind: "wait" }
  /** The stream has no such byte. */
  | { kind: "beyond" };

/**
 * Which bytes of head block and body go into a portion of at most `bytesMax` bytes that starts at `firstByte` of the stream.
 *
 * While the body's length is unknown the proxy frames the body itself, so a portion then holds bytes of the head block or of the body, not both.
 */
export function planPortion(stream: StreamState, firstByte: number, bytesMax: number): PortionPlan {
  const { headBytes, bodyAvailable, bodyBytes } = stream;
  const end = bodyBytes === undefined ? undefined : headBytes + bodyBytes;
  if (end !== undefined && firstByte > end) return { kind: "beyond" };
  const headFrom = Math.min(firstByte, headBytes);
  const fromHead = Math.min(bytesMax, headBytes - headFrom);
  const bodyFrom = Math.max(0, firstByte - headBytes);
  const headEnds = headFrom + fromHead === headBytes;
  const mayMix = fromHead === 0 || bodyBytes !== undefined;
  const fromBody = headEnds && mayMix ? Math.max(0, Math.min(bytesMax - fromHead, bodyAvailable - bodyFrom)) : 0;
  const last = end !== undefined && firstByte + fromHead + fromBody === end;
  if (fromHead + fromBody === 0 && !last) return { kind: "wait" };
  return { kind: "portion", headFrom, headBytes: fromHead, bodyFrom, bodyBytes: fromBody, last };
}
