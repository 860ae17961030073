import { writeLatin1 } from "../http1/octets.ts";
import { VERDICTS } from "./segment-header.ts";

/**
 * What became of a request: `hot`, answered by the proxy thread from its hot tier; what the cache said (`hit`, or why it asked the origin: RFC 9211);
 * `pass`, caching had no part in it; `refused`, answered by us in place of the origin; `malformed`, no request.
 */
export const ACCESS_VERDICTS = ["hot", ...VERDICTS, "pass", "refused", "malformed"] as const;
export type AccessVerdict = (typeof ACCESS_VERDICTS)[number];

/** One request and its response, as the proxy thread saw them. Texts hold one octet in each char, as the client sent it. */
export interface AccessRecord {
  /** Counts the thread's records from 1: one that is missing was overwritten before it was read. */
  sequence: number;
  /** Wall clock, when the head of the request was whole. */
  startedMs: number;
  /** From then to the first byte to the client; undefined when none went out. */
  firstByteMs: number | undefined;
  totalMs: number;
  /** From asking the origin to the head of its answer; undefined when it was not asked, or is not known to have answered. */
  originMs: number | undefined;
  status: number;
  verdict: AccessVerdict;
  /** The response was broken off, by whichever side. */
  aborted: boolean;
  stored: boolean;
  collapsed: boolean;
  /** It was stale when it was sent. */
  stale: boolean;
  wire: "http" | "getfile";
  minorVersion: 0 | 1;
  isTls: boolean;
  /** Bytes to the client, head included. */
  bytes: number;
  /** How many requests this one stands for: of hot hits only some are recorded while nobody wants all. */
  weight: number;
  method: string;
  target: string;
  host: string;
  client: string;
  referer: string;
  userAgent: string;
  /**
   * Where the request is traced, ids in hexadecimal digits with spaces between them: of the trace, of its span, of the span of asking the origin, and of the
   * client's span, which is empty for a root. Else empty.
   */
  trace: string;
}

/**
 * A record in a ring. Integers are little-endian.
 *
 *   offset  bytes  field
 *        0      4  length        of the whole record, a multiple of 8; of a filler up to the ring's end: its length with bit 31 set
 *        4      4  sequence
 *        8      8  startedMs     float64
 *       16      4  firstByteMs   float32, -1: none
 *       20      4  totalMs       float32
 *       24      4  originMs      float32, -1: not asked
 *       28      2  status
 *       30      1  verdict       ACCESS_VERDICTS
 *       31      1  flags         1 aborted, 2 stored, 4 collapsed, 8 stale, 16 GETFILE, 32 HTTP/1.0, 64 TLS
 *       32      8  bytes         float64
 *       40      4  weight        float32
 *       44   7x2  lengths        of the texts
 *       58      2  (zero)
 *       60      n  texts         method, target, host, client, referer, user agent, trace: latin1, none terminated
 */
const FIELD = {
  length: 0,
  sequence: 4,
  startedMs: 8,
  firstByteMs: 16,
  totalMs: 20,
  originMs: 24,
  status: 28,
  verdict: 30,
  flags: 31,
  bytes: 32,
  weight: 40,
  lengths: 44,
  texts: 60,
} as const;
/** Where texts begin, and the last length stands, behind the start of `lengths`. */
const TEXTS_OFFSET = FIELD.texts - FIELD.lengths;
const TRACE_LENGTH_OFFSET = 12;
const FLAG = { aborted: 1, stored: 2, collapsed: 4, stale: 8, getfile: 16, http10: 32, tls: 64 } as const;
/** A target may be 16 KiB long; what is said of it in a log need not be. */
const TARGET_MAX = 2048;
const TEXT_MAX = 512;
/** Longest record. */
export const ACCESS_RECORD_BYTES_MAX = FIELD.texts + TARGET_MAX + 6 * TEXT_MAX + 8;

const VERDICT_NUMBER = new Map<AccessVerdict, number>(ACCESS_VERDICTS.map((verdict, index) => [verdict, index]));

/** What a record says of who asked for what. */
export type AccessTextFields = Pick<AccessRecord, "method" | "target" | "host" | "client" | "referer" | "userAgent">;

/** The texts of {@link AccessTextFields} as they stand in a record: they can be kept for when the same client asks for the same again. Texts that are too long are cut. */
export class AccessTexts {
  /** The record from its `lengths` on, without a trace. */
  readonly bytes: Uint8Array;

  constructor(fields: AccessTextFields) {
    let textBytes = 0;
    for (const name of TEXTS) textBytes += lengthOf(name, fields);
    this.bytes = new Uint8Array(TEXTS_OFFSET + textBytes);
    let end: number = TEXTS_OFFSET;
    for (let index = 0; index < TEXTS.length; index++) {
      const name = TEXTS[index]!;
      const text = fields[name];
      const length = lengthOf(name, fields);
      this.bytes[2 * index] = length;
      this.bytes[2 * index + 1] = length >> 8;
      writeLatin1(this.bytes, length === text.length ? text : text.slice(0, length), end);
      end += length;
    }
  }
}

/** In the order in which they stand in a record. */
const TEXTS = ["method", "target", "host", "client", "referer", "userAgent"] as const;

function lengthOf(name: (typeof TEXTS)[number], fields: AccessTextFields): number {
  return Math.min(fields[name].length, name === "target" ? TARGET_MAX : TEXT_MAX);
}

/** How long the record will be. */
export function accessRecordBytes({ trace }: AccessRecord, { bytes }: AccessTexts): number {
  return (FIELD.lengths + bytes.length + Math.min(trace.length, TEXT_MAX) + 7) & ~7;
}

/** Writes a record of `length` bytes, as {@link accessRecordBytes} gave it, at `at`, a multiple of 8. `buffer` and `view` are of the same bytes. */
export function writeAccessRecord(
  { buffer, view, at, length }: { buffer: Buffer; view: DataView; at: number; length: number },
  record: AccessRecord,
  { bytes }: AccessTexts,
): void {
  view.setUint32(at + FIELD.length, length, true);
  view.setUint32(at + FIELD.sequence, record.sequence, true);
  view.setFloat64(at + FIELD.startedMs, record.startedMs, true);
  view.setFloat32(at + FIELD.firstByteMs, record.firstByteMs ?? -1, true);
  view.setFloat32(at + FIELD.totalMs, record.totalMs, true);
  view.setFloat32(at + FIELD.originMs, record.originMs ?? -1, true);
  view.setUint16(at + FIELD.status, record.status, true);
  view.setUint8(at + FIELD.verdict, VERDICT_NUMBER.get(record.verdict)!);
  view.setUint8(at + FIELD.flags, flagsOf(record));
  view.setFloat64(at + FIELD.bytes, record.bytes, true);
  view.setFloat32(at + FIELD.weight, record.weight, true);
  buffer.set(bytes, at + FIELD.lengths);
  if (record.trace === "") return;
  const traceBytes = Math.min(record.trace.length, TEXT_MAX);
  view.setUint16(at + FIELD.lengths + TRACE_LENGTH_OFFSET, traceBytes, true);
  buffer.write(record.trace, at + FIELD.lengths + bytes.length, traceBytes, "latin1");
}
function flagsOf(record: AccessRecord): number {
  return (
    (record.aborted ? FLAG.aborted : 0) |
    (record.stored ? FLAG.stored : 0) |
    (record.collapsed ? FLAG.collapsed : 0) |
    (record.stale ? FLAG.stale : 0) |
    (record.wire === "getfile" ? FLAG.getfile : 0) |
    (record.minorVersion === 0 ? FLAG.http10 : 0) |
    (record.isTls ? FLAG.tls : 0)
  );
}

/** The record in `buffer`, which holds it and nothing else; undefined when a number in it can not be true. */
export function readAccessRecord(buffer: Buffer): AccessRecord | undefined {
  if (buffer.length < FIELD.texts) return undefined;
  const verdict = ACCESS_VERDICTS[buffer[FIELD.verdict]!];
  if (verdict === undefined) return undefined;
  const texts: string[] = [];
  let start: number = FIELD.texts;
  for (let index = 0; index < 7; index++) {
    const end = start + buffer.readUInt16LE(FIELD.lengths + 2 * index);
    if (end > buffer.length) return undefined;
    texts.push(buffer.toString("latin1", start, end));
    start = end;
  }
  const [method = "", target = "", host = "", client = "", referer = "", userAgent = "", trace = ""] = texts;
  const flags = buffer[FIELD.flags]!;
  return {
    sequence: buffer.readUInt32LE(FIELD.sequence),
    startedMs: buffer.readDoubleLE(FIELD.startedMs),
    firstByteMs: notNegative(buffer.readFloatLE(FIELD.firstByteMs)),
    totalMs: buffer.readFloatLE(FIELD.totalMs),
    originMs: notNegative(buffer.readFloatLE(FIELD.originMs)),
    status: buffer.readUInt16LE(FIELD.status),
    verdict,
    aborted: (flags & FLAG.aborted) !== 0,
    stored: (flags & FLAG.stored) !== 0,
    collapsed: (flags & FLAG.collapsed) !== 0,
    stale: (flags & FLAG.stale) !== 0,
    wire: (flags & FLAG.getfile) === 0 ? "http" : "getfile",
    minorVersion: (flags & FLAG.http10) === 0 ? 1 : 0,
    isTls: (flags & FLAG.tls) !== 0,
    bytes: buffer.readDoubleLE(FIELD.bytes),
    weight: buffer.readFloatLE(FIELD.weight),
    method,
    target,
    host,
    client,
    referer,
    userAgent,
    trace,
  };
}

function notNegative(value: number): number | undefined {
  return value < 0 ? undefined : value;
}
