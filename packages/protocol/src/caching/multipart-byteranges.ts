import type { ByteRange } from "./byte-range.ts";
import { renderContentRange } from "./content-range.ts";

/** What stands around the bytes of a multipart/byteranges body (RFC 9110 section 14.6). Strings are latin1. */
export interface MultipartByteranges {
  /** The Content-Type of the whole. */
  readonly contentType: string;
  /** Exact length of the body. */
  readonly contentLengthBytes: number;
  /** One for each range: what to send right before its bytes. */
  readonly partHeads: readonly string[];
  /** What to send after the last one's bytes. */
  readonly end: string;
}

/**
 * The frame of a 206 with several ranges: send partHeads[0], the bytes of ranges[0], partHeads[1], ..., end.
 *
 * @param boundary 1 to 70 letters and digits that do not occur in the body: 24 random ones will do.
 * @param contentType The stored response's own Content-Type; undefined when it has none.
 */
export function frameMultipartByteranges(
  ranges: readonly ByteRange[],
  completeBytes: number,
  contentType: string | undefined,
  boundary: string,
): MultipartByteranges {
  const typeLine = contentType === undefined ? "" : `Content-Type: ${contentType}\r\n`;
  const partHeads = ranges.map((range, index) => {
    const delimiter = `${index === 0 ? "" : "\r\n"}--${boundary}\r\n`;
    return `${delimiter}${typeLine}Content-Range: ${renderContentRange(range, completeBytes)}\r\n\r\n`;
  });
  const end = `\r\n--${boundary}--\r\n`;
  const frameBytes = partHeads.reduce((sum, head) => sum + head.length, end.length);
  const rangeBytes = ranges.reduce((sum, range) => sum + (range.end - range.start), 0);
  return {
    contentType: `multipart/byteranges; boundary=${boundary}`,
    contentLengthBytes: frameBytes + rangeBytes,
    partHeads,
    end,
  };
}
