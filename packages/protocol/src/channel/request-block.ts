import { latin1, writeLatin1 } from "../http1/octets.ts";
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
 *       16      4  forwardingBytes
 *       20      n  target          origin-form with the origin's path prefix joined: what is forwarded; the key is made of these same bytes
 *     20+n      m  fields          the end-to-end request fields as "Name: value" CRLF lines, one octet for each character
 *   20+n+m      k  forwarding      the lines that tell the origin whom it is asked for
 */
const FIELD = {
  wire: 0,
  method: 1,
  flags: 2,
  targetBytes: 4,
  fieldBytes: 8,
  site: 12,
  forwardingBytes: 16,
  target: 20,
} as const;

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
  /**
   * What the proxy tells the origin of the client (Forwarded, X-Forwarded-For), likewise. Apart from what the client says: clients that say the same
   * are asked for alike, and of what is stored for all only that depends on it which says so (Vary).
   */
  forwardingSection: string;
}

/** How many bytes {@link writeRequestBlock} will write. */
export function requestBlockBytes(wanted: WantedResponse): number {
  return FIELD.target + wanted.target.length + wanted.fieldSection.length + wanted.forwardingSection.length;
}

/** Writes the block into a segment that is at least SEGMENT_BODY_OFFSET + {@link requestBlockBytes} long; returns its length. */
export function writeRequestBlock(segment: Uint8Array, wanted: WantedResponse): number {
  const { target, fieldSection, forwardingSection } = wanted;
  segment[AT + FIELD.wire] = wanted.wire === "getfile" ? 1 : 2;
  segment[AT + FIELD.method] = wanted.method === "GET" ? 1 : 2;
  segment[AT + FIELD.flags] = wanted.acceptsLoan ? ACCEPTS_LOAN : 0;
  segment[AT + 3] = 0;
  writeUint32(segment, AT + FIELD.targetBytes, target.length);
  writeUint32(segment, AT + FIELD.fieldBytes, fieldSection.length);
  writeUint32(segment, AT + FIELD.site, wanted.site);
  writeUint32(segment, AT + FIELD.forwardingBytes, forwardingSection.length);
  writeLatin1(segment, target, AT + FIELD.target);
  writeLatin1(segment, fieldSection, AT + FIELD.target + target.length);
  writeLatin1(segment, forwardingSection, AT + FIELD.target + target.length + fieldSection.length);
  return requestBlockBytes(wanted);
}

/** Reads the block of `blockBytes` bytes; undefined when any length or code in it is not possible. Copies everything it returns. */
export function readRequestBlock(segment: Uint8Array, blockBytes: number): WantedResponse | undefined {
  if (blockBytes < FIELD.target + 1 || AT + blockBytes > segment.length) return undefined;
  const wire = segment[AT + FIELD.wire];
  const method = segment[AT + FIELD.method];
  const targetBytes = readUint32(segment, AT + FIELD.targetBytes);
  const fieldBytes = readUint32(segment, AT + FIELD.fieldBytes);
  const forwardingBytes = readUint32(segment, AT + FIELD.forwardingBytes);
  if (targetBytes < 1 || FIELD.target + targetBytes + fieldBytes + forwardingBytes !== blockBytes) return undefined;
  if ((wire !== 1 && wire !== 2) || (method !== 1 && method !== 2)) return undefined;
  const fields = AT + FIELD.target + targetBytes;
  const forwarding = fields + fieldBytes;
  return {
    wire: wire === 1 ? "getfile" : "http",
    method: method === 1 ? "GET" : "HEAD",
    acceptsLoan: (segment[AT + FIELD.flags]! & ACCEPTS_LOAN) !== 0,
    site: readUint32(segment, AT + FIELD.site),
    target: latin1(segment, AT + FIELD.target, fields),
    fieldSection: fieldBytes === 0 ? "" : latin1(segment, fields, forwarding),
    forwardingSection: forwardingBytes === 0 ? "" : latin1(segment, forwarding, AT + blockBytes),
  };
}

/** Where the block stands. */
const AT = SEGMENT_BODY_OFFSET;

function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

function readUint32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}
