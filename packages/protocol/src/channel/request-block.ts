import { SEGMENT_BODY_OFFSET } from "./segment-header.ts";

/**
 * What is wanted, written by the proxy into the body of the segment that an `open` record names. It starts at SEGMENT_BODY_OFFSET; the answer
 * is written over it.
 *
 *   offset  bytes  field
 *        0      1  wire            1 GETFILE, 2 HTTP
 *        1      1  method          1 GET, 2 HEAD
 *        2      1  flags           1 accepts a loan: the body may stay where it is, to be read there
 *        3      1  (zero)
 *        4      4  targetBytes     1 or more
 *        8      4  fieldBytes
 *       12      4  site            the id of the site it belongs to: of one configuration of one site
 *       16      n  target          origin-form with the origin's path prefix joined: what is forwarded; the key is made of these same bytes
 *     16+n      m  fields          the end-to-end request fields as "Name: value" CRLF lines, one octet for each character
 */
const FIELD = { wire: 0, method: 1, flags: 2, targetBytes: 4, fieldBytes: 8, site: 12, target: 16 } as const;

const ACCEPTS_LOAN = 1;

export type Wire = "getfile" | "http";

export interface WantedResponse {
  wire: Wire;
  method: "GET" | "HEAD";
  /** Id of its site: see `siteId`. */
  site: number;
  target: string;
  acceptsLoan: boolean;
  /** The field section as text, latin1: parsed only by a cache that has to look. */
  fieldSection: string;
}

/** How many bytes {@link writeRequestBlock} will write. */
export function requestBlockBytes(wanted: WantedResponse): number {
  return FIELD.target + wanted.target.length + wanted.fieldSection.length;
}

/** Writes the block into a segment that is at least SEGMENT_BODY_OFFSET + {@link requestBlockBytes} long; returns its length. */
export function writeRequestBlock(segment: Uint8Array, wanted: WantedResponse): number {
  const bytes = Buffer.from(segment.buffer, segment.byteOffset + SEGMENT_BODY_OFFSET, requestBlockBytes(wanted));
  bytes[FIELD.wire] = wanted.wire === "getfile" ? 1 : 2;
  bytes[FIELD.method] = wanted.method === "GET" ? 1 : 2;
  bytes[FIELD.flags] = wanted.acceptsLoan ? ACCEPTS_LOAN : 0;
  bytes[3] = 0;
  bytes.writeUInt32LE(wanted.target.length, FIELD.targetBytes);
  bytes.writeUInt32LE(wanted.fieldSection.length, FIELD.fieldBytes);
  bytes.writeUInt32LE(wanted.site, FIELD.site);
  bytes.write(wanted.target, FIELD.target, "latin1");
  if (wanted.fieldSection !== "") bytes.write(wanted.fieldSection, FIELD.target + wanted.target.length, "latin1");
  return bytes.length;
}

/** Reads the block of `blockBytes` bytes; undefined when any length or code in it is not possible. Copies everything it returns. */
export function readRequestBlock(segment: Uint8Array, blockBytes: number): WantedResponse | undefined {
  if (blockBytes < FIELD.target + 1 || SEGMENT_BODY_OFFSET + blockBytes > segment.length) return undefined;
  const bytes = Buffer.from(segment.buffer, segment.byteOffset + SEGMENT_BODY_OFFSET, blockBytes);
  const wire = bytes[FIELD.wire];
  const method = bytes[FIELD.method];
  const targetBytes = bytes.readUInt32LE(FIELD.targetBytes);
  const fieldBytes = bytes.readUInt32LE(FIELD.fieldBytes);
  if (targetBytes < 1 || FIELD.target + targetBytes + fieldBytes !== blockBytes) return undefined;
  if ((wire !== 1 && wire !== 2) || (method !== 1 && method !== 2)) return undefined;
  const fields = FIELD.target + targetBytes;
  return {
    wire: wire === 1 ? "getfile" : "http",
    method: method === 1 ? "GET" : "HEAD",
    acceptsLoan: (bytes[FIELD.flags]! & ACCEPTS_LOAN) !== 0,
    site: bytes.readUInt32LE(FIELD.site),
    target: bytes.toString("latin1", FIELD.target, fields),
    fieldSection: fieldBytes === 0 ? "" : bytes.toString("latin1", fields, blockBytes),
  };
}
