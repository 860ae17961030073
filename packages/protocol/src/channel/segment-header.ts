import type { CacheStatus, ForwardReason } from "../caching/cache-status.ts";
import { LAYOUT_VERSION } from "./layout-version.ts";

/**
 * A segment: one shared memory object. The first 64 bytes are the pool's (the semaphore among them); then comes this header, then the body.
 * The proxy writes version, ticket and state `asked` before it sends the request; the cache writes the rest, then state `answered`, then posts the
 * semaphore. Integers are little-endian.
 *
 *   offset  bytes  field
 *        0     64  (the pool's: sem_t, magic, id, generation)
 *       64      4  version        LAYOUT_VERSION
 *       68      4  ticket         echoes the request: an answer to another request is refused
 *       72      4  state          1 asked, 2 answered
 *       76      4  flags          1 last: the stream ends with this portion; 2 open: the cache remembers the transfer until `close`;
 *                                 4 replayable: any byte of the stream may be asked for again while the transfer is open;
 *                                 8 loan: the portion is the head block; the body is the shared memory object that `loan` names;
 *                                 16 trailers: the portion is of the trailer section
 *       80      8  size           bytes of the stream in this portion; below zero it is invalid and says why (REFUSAL)
 *       88      8  bodyBytes      length of the whole body, -1 while it is not known
 *       96      8  availableBytes how much of the stream the cache could give at once when it answered, counted from the stream's first byte
 *      104      4  payloadOffset  where the portion starts in the segment
 *      108      4  status         first portion: the response's status code; below 200: the portion is an interim response as it goes out, whole, and the
 *                                 stream is to be asked for again from its byte 0
 *      112      4  headBytes      first portion: length of the head block, with which the stream begins
 *      116      4  verdict        first portion: VERDICT
 *      120      4  ageSeconds     first portion: current age of a stored response (RFC 9111 section 4.2.3), -1 when it was not stored
 *      124      4  ttlSeconds     first portion: freshness left, may be below zero; TTL_UNKNOWN when it was not stored
 *      128      4  forwardStatus  first portion: status of the origin's answer to this request, 0 when the origin was not asked
 *      132      4  handling       first portion: 1 stored; 2 collapsed; 4 hot: the proxy may keep this response, whole in one portion, for requests that
 *                                 say nothing but which resource they want, as long as stripeVersion is the version of its stripe;
 *                                 8 the head block has the Cache-Status field already
 *      136      4  stripeVersion  first portion: version of the key's stripe when this was answered (stripes.ts)
 *      140      4  loan           number of the object (names.ts); its length is bodyBytes
 *      144      4  originUs       first portion: from asking the origin to the head of its answer, -1 when this response did not wait for it
 *      148      4  passMs         first portion: for so long the cache would only pass requests for this target on, since the response to it can not be
 *                                 shared: the proxy may ask the origin itself, as long as stripeVersion is the version of the stripe. 0: it may not
 *      148     44  (zero)
 *      192      n  body           the request block, later the portion
 *
 * The stream of a transfer is the head block ("Name: value" CRLF lines and a closing CRLF, nothing of it hop-by-hop) followed by the body. A portion that
 * holds the end of the head block of a response with unknown length holds no body: the proxy has to frame the body. Behind such a body there may be a
 * trailer section ("Name: value" CRLF lines), in portions of its own.
 */
const FIELD = {
  version: 64,
  ticket: 68,
  state: 72,
  flags: 76,
  size: 80,
  bodyBytes: 88,
  availableBytes: 96,
  payloadOffset: 104,
  status: 108,
  headBytes: 112,
  verdict: 116,
  ageSeconds: 120,
  ttlSeconds: 124,
  forwardStatus: 128,
  handling: 132,
  stripeVersion: 136,
  loan: 140,
  originUs: 144,
  passMs: 148,
} as const;

export const SEGMENT_BODY_OFFSET = 192;
/** Where a first portion starts: the proxy renders status line and its own fields into the room before it, so that head and body leave in one write. */
export const FIRST_PAYLOAD_OFFSET = 1024;
/** Where every other portion starts: there is room for the size line of a chunk before it. */
export const NEXT_PAYLOAD_OFFSET = 256;
/** Room kept behind a portion, for the end of a chunk and the last chunk. */
export const PAYLOAD_TAIL_BYTES = 64;
/** Smallest segment that holds anything worth a message. */
export const SEGMENT_BYTES_MIN = 4096;

const STATE = { asked: 1, answered: 2 } as const;
const FLAG = { last: 1, open: 2, replayable: 4, loan: 8, trailers: 16 } as const;
const HANDLING = { stored: 1, collapsed: 2, hot: 4, hasCacheStatus: 8 } as const;
export const TTL_UNKNOWN = -0x80000000;

/**
 * Why there is no portion: the invalid sizes of step 6. `pending` is no end: the origin is slow, so that the segment is wanted back; the cache
 * sends a notice (notice.ts) when there is something to read.
 */
export const REFUSAL = {
  "not-found": -1,
  "origin-error": -2,
  refused: -3,
  "length-unknown": -4,
  cancelled: -5,
  "cut-short": -6,
  "origin-timeout": -7,
  overloaded: -8,
  pending: -9,
  /** The request forbids to ask the origin, and what is stored does not answer it. */
  "not-stored": -10,
  /** What is stored must not be used without the origin, which can not be reached. */
  unvalidated: -11,
  /** Why the origin gave no response, where more is known than `origin-error`. */
  "origin-refused": -12,
  "origin-unknown": -13,
  "origin-tls": -14,
  "origin-malformed": -15,
  "origin-unresolved": -16,
  "origin-unroutable": -17,
  "origin-unconnected": -18,
  "origin-certificate": -19,
  "origin-alert": -20,
  "origin-closed": -21,
  "origin-stalled": -22,
  "origin-head-size": -23,
  "origin-coding": -24,
  "origin-busy": -25,
} as const;
export type Refusal = keyof typeof REFUSAL;
const REFUSAL_OF = new Map<number, Refusal>(
  (Object.entries(REFUSAL) as [Refusal, number][]).map(([name, size]) => [size, name]),
);

/** What the cache did for a request, in the words of RFC 9211: `hit`, or the reason it went forward. */
export const VERDICTS = [
  "hit",
  "bypass",
  "method",
  "uri-miss",
  "vary-miss",
  "miss",
  "request",
  "stale",
  "partial",
] as const satisfies readonly ("hit" | ForwardReason)[];
export type Verdict = (typeof VERDICTS)[number];

export interface PortionAnswer {
  kind: "portion";
  bytes: number;
  last: boolean;
  open: boolean;
  replayable: boolean;
  bodyBytes: number | undefined;
  availableBytes: number;
  payloadOffset: number;
  /** The body is not in the stream: it is the shared memory object of this number, to be read where it is. */
  loan: number | undefined;
  /** It is of the trailer section, behind the body. */
  trailers: boolean;
}
/** What a first portion says beyond any portion. */
export interface ResponseAnswer {
  status: number;
  headBytes: number;
  verdict: Verdict;
  ageSeconds: number | undefined;
  ttlSeconds: number | undefined;
  forwardStatus: number | undefined;
  stored: boolean;
  collapsed: boolean;
  /** The proxy may keep it while this is the version of its stripe; undefined: it may not. */
  hotVersion: number | undefined;
  /** Cache-Status is in the head block: the proxy adds none. */
  hasCacheStatus: boolean;
  /** From asking the origin to the head of its answer, where this response waited for that. */
  originMs?: number | undefined;
  /** For `ms` milliseconds, and while `version` is that of its stripe, the proxy may ask the origin itself for this target; undefined: it may not. */
  pass?: PassLeave | undefined;
}
/** Leave to do without the cache what it would do itself: pass the request on. */
export interface PassLeave {
  readonly version: number;
  readonly ms: number;
}
export type Answer = PortionAnswer | { kind: "refusal"; refusal: Refusal } | { kind: "malformed"; reason: string };

/** What the cache did, as Cache-Status says it (RFC 9211). */
export function cacheStatusOf(response: Omit<ResponseAnswer, "headBytes">): CacheStatus {
  const { verdict, ttlSeconds, forwardStatus, stored, collapsed, status } = response;
  const isHit = verdict === "hit";
  // Without spreads: this is made for each response that goes out.
  return {
    hit: isHit,
    forwarded: isHit ? undefined : verdict,
    forwardedStatus: forwardStatus === status ? undefined : forwardStatus,
    ttlMs: ttlSeconds === undefined ? undefined : ttlSeconds * 1000,
    stored,
    collapsed,
  };
}

/** The view that this file reads and writes a segment's header through: made once for each mapping. */
export type SegmentWords = Int32Array;

const HIGH = 2 ** 32;
const word = (offset: number): number => offset >> 2;

function writeInt64(words: SegmentWords, offset: number, value: number): void {
  words[word(offset)] = (value % HIGH) | 0;
  words[word(offset) + 1] = Math.floor(value / HIGH);
}

function readInt64(words: SegmentWords, offset: number): number {
  return words[word(offset) + 1]! * HIGH + (words[word(offset)]! >>> 0);
}

/** Step 3, the proxy: the header of a segment that is about to be asked for. */
export function writeAsked(words: SegmentWords, ticket: number): void {
  words[word(FIELD.version)] = LAYOUT_VERSION;
  words[word(FIELD.ticket)] = ticket;
  words[word(FIELD.flags)] = 0;
  writeInt64(words, FIELD.size, REFUSAL.cancelled);
  Atomics.store(words, word(FIELD.state), STATE.asked);
}

/** The cache: is this the segment that the record with `ticket` speaks of, and has nobody answered it yet? */
export function isAsked(words: SegmentWords, ticket: number): boolean {
  return (
    words[word(FIELD.version)] === LAYOUT_VERSION &&
    words[word(FIELD.ticket)] === (ticket | 0) &&
    Atomics.load(words, word(FIELD.state)) === STATE.asked
  );
}

/** Step 7, the cache: announces a portion whose bytes are already in the body. The caller posts the semaphore after this. */
export function writePortion(words: SegmentWords, portion: PortionAnswer, response: ResponseAnswer | undefined): void {
  words[word(FIELD.flags)] =
    (portion.last ? FLAG.last : 0) |
    (portion.open ? FLAG.open : 0) |
    (portion.replayable ? FLAG.replayable : 0) |
    (portion.loan === undefined ? 0 : FLAG.loan) |
    (portion.trailers ? FLAG.trailers : 0);
  words[word(FIELD.loan)] = portion.loan ?? 0;
  writeInt64(words, FIELD.size, portion.bytes);
  writeInt64(words, FIELD.bodyBytes, portion.bodyBytes ?? -1);
  writeInt64(words, FIELD.availableBytes, portion.availableBytes);
  words[word(FIELD.payloadOffset)] = portion.payloadOffset;
  if (response !== undefined) {
    words[word(FIELD.status)] = response.status;
    words[word(FIELD.headBytes)] = response.headBytes;
    words[word(FIELD.verdict)] = VERDICTS.indexOf(response.verdict);
    words[word(FIELD.ageSeconds)] = response.ageSeconds ?? -1;
    words[word(FIELD.ttlSeconds)] = response.ttlSeconds ?? TTL_UNKNOWN;
    words[word(FIELD.forwardStatus)] = response.forwardStatus ?? 0;
    words[word(FIELD.handling)] = handlingBits(response);
    words[word(FIELD.stripeVersion)] = response.hotVersion ?? response.pass?.version ?? 0;
    words[word(FIELD.originUs)] = response.originMs === undefined ? -1 : Math.min(response.originMs * 1000, 0x7fffffff);
    words[word(FIELD.passMs)] = response.pass?.ms ?? 0;
  }
  Atomics.store(words, word(FIELD.state), STATE.answered);
}

function handlingBits({ stored, collapsed, hotVersion, hasCacheStatus }: ResponseAnswer): number {
  return (
    (stored ? HANDLING.stored : 0) |
    (collapsed ? HANDLING.collapsed : 0) |
    (hotVersion === undefined ? 0 : HANDLING.hot) |
    (hasCacheStatus ? HANDLING.hasCacheStatus : 0)
  );
}

/** Step 6, the cache: says why there is no portion. The caller posts the semaphore after this. */
export function writeRefusal(words: SegmentWords, refusal: Refusal): void {
  writeInt64(words, FIELD.size, REFUSAL[refusal]);
  Atomics.store(words, word(FIELD.state), STATE.answered);
}

/**
 * The proxy, after the semaphore was posted: what the cache says, every number checked against the segment's size before anything is
 * read through it. Each field is read once, since a broken peer may still be writing.
 */
export function readAnswer(words: SegmentWords, segmentBytes: number, ticket: number): Answer {
  if (words[word(FIELD.version)] !== LAYOUT_VERSION) return { kind: "malformed", reason: "version" };
  if (words[word(FIELD.ticket)] !== (ticket | 0)) return { kind: "malformed", reason: "ticket" };
  if (Atomics.load(words, word(FIELD.state)) !== STATE.answered) return { kind: "malformed", reason: "state" };
  const bytes = readInt64(words, FIELD.size);
  if (bytes < 0) {
    const refusal = REFUSAL_OF.get(bytes);
    return refusal === undefined ? { kind: "malformed", reason: "size" } : { kind: "refusal", refusal };
  }
  const payloadOffset = words[word(FIELD.payloadOffset)]!;
  if (payloadOffset < SEGMENT_BODY_OFFSET || payloadOffset + bytes + PAYLOAD_TAIL_BYTES > segmentBytes) {
    return { kind: "malformed", reason: "bounds" };
  }
  const bodyBytes = readInt64(words, FIELD.bodyBytes);
  const availableBytes = readInt64(words, FIELD.availableBytes);
  if (
    bodyBytes < -1 ||
    !Number.isSafeInteger(bodyBytes) ||
    !Number.isSafeInteger(availableBytes) ||
    availableBytes < 0
  ) {
    return { kind: "malformed", reason: "length" };
  }
  const flags = words[word(FIELD.flags)]!;
  return {
    kind: "portion",
    bytes,
    last: (flags & FLAG.last) !== 0,
    open: (flags & FLAG.open) !== 0,
    replayable: (flags & FLAG.replayable) !== 0,
    bodyBytes: bodyBytes === -1 ? undefined : bodyBytes,
    availableBytes,
    payloadOffset,
    loan: (flags & FLAG.loan) === 0 ? undefined : words[word(FIELD.loan)]! >>> 0,
    trailers: (flags & FLAG.trailers) !== 0,
  };
}

/** The proxy, on a first portion: the response it belongs to; undefined when a field is out of its range. */
export function readResponse(words: SegmentWords): ResponseAnswer | undefined {
  const status = words[word(FIELD.status)]!;
  const headBytes = words[word(FIELD.headBytes)]!;
  const verdict = VERDICTS[words[word(FIELD.verdict)]!];
  if (status < 100 || status > 999 || headBytes < 0 || verdict === undefined) return undefined;
  const ageSeconds = words[word(FIELD.ageSeconds)]!;
  const ttlSeconds = words[word(FIELD.ttlSeconds)]!;
  const forwardStatus = words[word(FIELD.forwardStatus)]!;
  const handling = words[word(FIELD.handling)]!;
  const originUs = words[word(FIELD.originUs)]!;
  const version = words[word(FIELD.stripeVersion)]!;
  const passMs = words[word(FIELD.passMs)]!;
  return {
    status,
    headBytes,
    verdict,
    ageSeconds: ageSeconds < 0 ? undefined : ageSeconds,
    ttlSeconds: ttlSeconds === TTL_UNKNOWN ? undefined : ttlSeconds,
    forwardStatus: forwardStatus === 0 ? undefined : forwardStatus,
    stored: (handling & HANDLING.stored) !== 0,
    collapsed: (handling & HANDLING.collapsed) !== 0,
    hotVersion: (handling & HANDLING.hot) === 0 ? undefined : version,
    hasCacheStatus: (handling & HANDLING.hasCacheStatus) !== 0,
    originMs: originUs < 0 ? undefined : originUs / 1000,
    pass: passMs > 0 ? { version, ms: passMs } : undefined,
  };
}

/** How many bytes of the stream fit into one portion of a segment of `segmentBytes` bytes that starts at `payloadOffset`. */
export function portionCapacity(segmentBytes: number, payloadOffset: number): number {
  return segmentBytes - payloadOffset - PAYLOAD_TAIL_BYTES;
}
