import { SEGMENT_BODY_OFFSET } from "./segment-header.ts";

/**
 * A response to POST that a later GET may be answered with (RFC 9110 section 9.3.3), written by the proxy, past which it went, into the body of the
 * segment that a `keep` record names. It starts at SEGMENT_BODY_OFFSET. The answer is a portion of no bytes, whether it is kept or not.
 *
 *   offset  bytes  field
 *        0      8  requestTimeMs   float64, wall clock
 *        8      8  responseTimeMs  float64, wall clock
 *       16      4  status
 *       20      4  targetBytes     1 or more
 *       24      4  requestFieldBytes
 *       28      4  fieldBytes
 *       32      4  contentBytes
 *       36      4  site            as in a request block
 *       40      n  target, request fields as the origin got them, response fields (end-to-end; "Name: value" CRLF lines), content
 */
const FIELD = {
  requestTimeMs: 0,
  responseTimeMs: 8,
  status: 16,
  targetBytes: 20,
  requestFieldBytes: 24,
  fieldBytes: 28,
  contentBytes: 32,
  site: 36,
  text: 40,
} as const;

export interface PassedResponse {
  readonly requestTimeMs: number;
  readonly responseTimeMs: number;
  readonly status: number;
  readonly site: number;
  readonly target: string;
  /** Field sections as text, latin1. */
  readonly requestFieldSection: string;
  readonly fieldSection: string;
  readonly content: Uint8Array;
}

/** How many bytes {@link writePassedResponseBlock} will write. */
export function passedResponseBlockBytes({
  target,
  requestFieldSection,
  fieldSection,
  content,
}: PassedResponse): number {
  return FIELD.text + target.length + requestFieldSection.length + fieldSection.length + content.length;
}

/** Writes the block into a segment that is long enough for it; returns its length. */
export function writePassedResponseBlock(segment: Uint8Array, passed: PassedResponse): number {
  const { target, requestFieldSection, fieldSection, content } = passed;
  const length = passedResponseBlockBytes(passed);
  const bytes = Buffer.from(segment.buffer, segment.byteOffset + SEGMENT_BODY_OFFSET, length);
  bytes.writeDoubleLE(passed.requestTimeMs, FIELD.requestTimeMs);
  bytes.writeDoubleLE(passed.responseTimeMs, FIELD.responseTimeMs);
  bytes.writeUInt32LE(passed.status, FIELD.status);
  bytes.writeUInt32LE(target.length, FIELD.targetBytes);
  bytes.writeUInt32LE(requestFieldSection.length, FIELD.requestFieldBytes);
  bytes.writeUInt32LE(fieldSection.length, FIELD.fieldBytes);
  bytes.writeUInt32LE(content.length, FIELD.contentBytes);
  bytes.writeUInt32LE(passed.site, FIELD.site);
  bytes.write(target + requestFieldSection + fieldSection, FIELD.text, "latin1");
  bytes.set(content, length - content.length);
  return length;
}

/** Reads the block of `blockBytes` bytes; undefined when a number in it is not possible. Copies everything it returns. */
export function readPassedResponseBlock(segment: Uint8Array, blockBytes: number): PassedResponse | undefined {
  if (blockBytes < FIELD.text + 1 || SEGMENT_BODY_OFFSET + blockBytes > segment.length) return undefined;
  const bytes = Buffer.from(segment.buffer, segment.byteOffset + SEGMENT_BODY_OFFSET, blockBytes);
  const requestTimeMs = bytes.readDoubleLE(FIELD.requestTimeMs);
  const responseTimeMs = bytes.readDoubleLE(FIELD.responseTimeMs);
  const status = bytes.readUInt32LE(FIELD.status);
  const targetBytes = bytes.readUInt32LE(FIELD.targetBytes);
  const requestFieldsAt = FIELD.text + targetBytes;
  const fieldsAt = requestFieldsAt + bytes.readUInt32LE(FIELD.requestFieldBytes);
  const contentAt = fieldsAt + bytes.readUInt32LE(FIELD.fieldBytes);
  if (targetBytes < 1 || contentAt + bytes.readUInt32LE(FIELD.contentBytes) !== blockBytes) return undefined;
  if (!Number.isFinite(requestTimeMs) || !Number.isFinite(responseTimeMs) || status < 200 || status > 599)
    return undefined;
  return {
    requestTimeMs,
    responseTimeMs,
    status,
    site: bytes.readUInt32LE(FIELD.site),
    target: bytes.toString("latin1", FIELD.text, requestFieldsAt),
    requestFieldSection: bytes.toString("latin1", requestFieldsAt, fieldsAt),
    fieldSection: bytes.toString("latin1", fieldsAt, contentAt),
    content: new Uint8Array(bytes.subarray(contentAt)),
  };
}
