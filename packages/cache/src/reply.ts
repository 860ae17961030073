import {
  evaluatePreconditions,
  evaluateRange,
  Fields,
  getfileStatusOf,
  notModifiedFields,
  type Refusal,
  type ResponseAnswer,
  renderContentRange,
  renderUnsatisfiedRange,
} from "@proj/protocol";
import type { ClientRequest } from "./client-request.ts";
import { renderHeadBlock } from "./head-block.ts";
import { MultipartBody } from "./multipart-body.ts";
import type { BodyStore } from "./storage/body-store.ts";
import type { StoredResponse } from "./stored-response.ts";

/** Bytes that a transfer reads from: a stored response's body, or one that is still growing. */
export type ReadableBody = Pick<BodyStore, "bytes" | "read" | "load" | "retain" | "release">;

/** What one client gets: a head block, then a part of one body. Decided once, when the response is chosen. */
export interface Reply {
  readonly response: ResponseAnswer;
  readonly headBlock: Uint8Array;
  /** Undefined where the response has no content: HEAD, 204, 304. */
  readonly body: ReadableBody | undefined;
  /** First byte of the body that the client gets. */
  readonly from: number;
  /** How many it gets; undefined while the length of a growing body is unknown. */
  length: number | undefined;
  /** Length to tell the client, which for HEAD is not the length it gets. */
  contentLength: number | undefined;
  /** A trailer section: lines, that go out behind a body in chunks. */
  trailers?: Uint8Array;
  /** The whole body, complete, as an object that the proxy can map. */
  readonly loan?: number | undefined;
}

/** A response that could be sent: stored, or on its way in. */
export interface Available {
  readonly status: number;
  readonly fields: Fields;
  readonly headBlock: Uint8Array;
  readonly body: ReadableBody;
  readonly bodyBytes: number | undefined;
  /** See {@link Reply.loan}. */
  readonly loan?: number | undefined;
  readonly responseTimeMs: number;
  /** The origin has not seen the client's conditions, and for a whole response not its Range: it answers them itself. */
  readonly reusable: boolean;
}

/** A stored response as one that can be sent. */
export function availableFrom(stored: StoredResponse): Available {
  const { status, fields, headBlock, bodyBytes, freshness } = stored;
  const { responseTimeMs } = freshness;
  const body: ReadableBody = stored.parts?.view() ?? stored.body;
  return { status, fields, headBlock, body, bodyBytes, loan: stored.body.loan, responseTimeMs, reusable: true };
}

/** How the response was come by: what Cache-Status and Age will say. */
export type Handling = Omit<ResponseAnswer, "headBytes" | "status">;

export type Choice =
  | { kind: "reply"; reply: Reply }
  | { kind: "refusal"; refusal: Refusal }
  /** A GETFILE response has to say its length first. */
  | { kind: "length-wanted" }
  /** A condition that only the origin can judge (RFC 9111 section 4.3.2). */
  | { kind: "ask-origin" };

const EMPTY = new Uint8Array(0);

/** What `request` gets of a response: all of it, a range, a 304, or its wire's refusal. */
export function chooseReply(request: ClientRequest, available: Available, handling: Handling): Choice {
  if (request.wire === "getfile") return getfileReply(available, handling);
  if (available.reusable && request.hasDecidingFields) {
    const outcome = evaluatePreconditions(request, available, available.responseTimeMs);
    if (outcome === "ask-origin") return { kind: "ask-origin" };
    if (outcome === "not-modified") return withoutBody(304, notModifiedFields(available.fields), handling);
    const partial = partialReply(request, available, handling);
    if (partial !== undefined) return partial;
  }
  const { status, headBlock, body, bodyBytes } = available;
  const hasContent = request.method !== "HEAD" && status !== 204 && status !== 304;
  return {
    kind: "reply",
    reply: {
      response: { ...handling, status, headBytes: headBlock.length },
      headBlock,
      body: hasContent ? body : undefined,
      from: 0,
      length: hasContent ? bodyBytes : 0,
      contentLength: bodyBytes,
      loan: hasContent ? available.loan : undefined,
    },
  };
}

function getfileReply(available: Available, handling: Handling): Choice {
  const { status, body, bodyBytes } = available;
  const wanted = getfileStatusOf(status);
  if (wanted !== "OK") return { kind: "refusal", refusal: wanted === "FILE_NOT_FOUND" ? "not-found" : "origin-error" };
  if (bodyBytes === undefined) return { kind: "length-wanted" };
  const response = { ...handling, status, headBytes: 0 };
  return {
    kind: "reply",
    reply: {
      response,
      headBlock: EMPTY,
      body,
      from: 0,
      length: bodyBytes,
      contentLength: bodyBytes,
      loan: available.loan,
    },
  };
}

/** RFC 9110 section 14.2: a Range applies to what would be a 200 of known length. */
function partialReply(request: ClientRequest, available: Available, handling: Handling): Choice | undefined {
  const { status, fields, body, bodyBytes, responseTimeMs } = available;
  if (status !== 200 || bodyBytes === undefined) return undefined;
  const outcome = evaluateRange(request, fields, bodyBytes, responseTimeMs);
  if (outcome.kind === "unsatisfiable") {
    return withoutBody(416, Fields.from([["Content-Range", renderUnsatisfiedRange(bodyBytes)]]), handling);
  }
  if (outcome.kind === "single") {
    const { start, end } = outcome.range;
    const partFields = fields.filter(() => true);
    partFields.set("Content-Range", renderContentRange(outcome.range, bodyBytes));
    return partReply(body, start, end - start, partFields, handling);
  }
  // Of a body that is still arriving several ranges may be refused: the whole is an answer too.
  if (outcome.kind !== "multiple" || body.bytes < bodyBytes) return undefined;
  const whole = { completeBytes: bodyBytes, contentType: fields.get("content-type") };
  const boundary = crypto.randomUUID().replaceAll("-", "");
  const multipart = new MultipartBody(body, outcome.ranges, whole, boundary);
  const partFields = fields.filter(() => true);
  partFields.set("Content-Type", multipart.contentType);
  return partReply(multipart, 0, multipart.bytes, partFields, handling);
}

function partReply(body: ReadableBody, from: number, length: number, fields: Fields, handling: Handling): Choice {
  const headBlock = renderHeadBlock(fields, "ours");
  const response = { ...handling, status: 206, headBytes: headBlock.length };
  return { kind: "reply", reply: { response, headBlock, body, from, length, contentLength: length } };
}

function withoutBody(status: 304 | 416, fields: Fields, handling: Handling): Choice {
  const contentLength = status === 304 ? undefined : 0;
  const headBlock = renderHeadBlock(fields, "ours");
  return {
    kind: "reply",
    reply: {
      response: { ...handling, status, headBytes: headBlock.length },
      headBlock,
      body: undefined,
      from: 0,
      length: 0,
      contentLength,
    },
  };
}
