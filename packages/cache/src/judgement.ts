import {
  type ByteRange,
  type ContentRange,
  Fields,
  type Framing,
  type NotStorableReason,
  parseContentRange,
  type ResponseHead,
  type Storable,
  sameStrongValidator,
  storable,
  type Variant,
} from "@proj/protocol";
import { bodyBytesOf, bytesIn, speaksOfResource } from "./arriving.ts";
import type { ClientRequest } from "./client-request.ts";
import { variantFor } from "./error-variant.ts";
import type { NotStoredReason } from "./explain/reasons.ts";
import type { FillAsk } from "./fill-ask.ts";
import type { FillMode } from "./fill-host.ts";
import { renewalOf } from "./freshening.ts";
import type { StoredResponse } from "./stored-response.ts";

/** What a response is the answer to. */
export interface Asked {
  readonly request: ClientRequest;
  readonly mode: FillMode;
  readonly ask: Pick<FillAsk, "kind">;
  /** A purge has been since that concerns it. */
  readonly isPurged: boolean;
}

/** What a response of the origin's is to a fill, as its head says. */
export interface Judgement {
  /** Undefined: Vary says that it answers no other request. */
  readonly variant: Variant | undefined;
  /** Undefined while nobody knows it. */
  readonly bodyBytes: number | undefined;
  /** Whether its fields allow that it is stored. */
  readonly storable: Storable;
  /** It goes into the store, if that has room. */
  readonly mayKeep: boolean;
}

/** Decides what a response is to us: kept or passing. @param endToEnd Its fields that are for more than this connection. */
export function judge(
  { request, mode, ask, isPurged }: Asked,
  head: ResponseHead,
  framing: Framing,
  endToEnd: Fields,
): Judgement {
  const { status } = head;
  const variant = variantFor(request, status, endToEnd);
  // A 206 that was not asked for is passed on, and is no answer to anything else (CHECKLIST 41).
  const isAnswer = mode !== "pass" && !isPurged && (status !== 206 || ask.kind === "range");
  // Nor is an error that a Range may have provoked: it would be found by who wants the whole.
  const isAboutRange = ask.kind !== "whole" && !speaksOfResource(status);
  const judged: Storable = isAboutRange
    ? { storable: false, reason: "about-the-request" }
    : storable(request, { status, fields: endToEnd }, request.rule);
  const mayKeep = isAnswer && variant !== undefined && judged.storable;
  return { variant, bodyBytes: bodyBytesOf(request.method, head, framing), storable: judged, mayKeep };
}

/** Why a response that is not stored is not, for an operator who asks. */
export function whyNotKept({ ask, isPurged }: Asked, judged: Storable, status: number): NotStoredReason {
  if (!judged.storable) return judged.reason;
  if (isPurged) return "purged";
  return status === 206 && ask.kind !== "range" ? "unasked-part" : "no-room";
}

/** Whether that a response is not to be stored says something to others: what one client's request keeps from being stored, or its credentials may have, does not. */
export function concernsOthers(reason: NotStorableReason, request: ClientRequest): boolean {
  return reason !== "request-no-store" && !request.fields.has("authorization");
}

/** RFC 9110 section 6.6.2: which trailers may come, for whoever asked and takes them. Undefined: nobody did. */
export function withTrailer(
  endToEnd: Fields,
  { fields }: ResponseHead,
  { kind }: Framing,
  asker: Pick<ClientRequest, "takesTrailers"> | undefined,
): Fields {
  if (kind !== "chunked" || !fields.has("trailer") || asker?.takesTrailers !== true) return endToEnd;
  return Fields.from([...endToEnd, ...fields.all("trailer").map((names) => ["Trailer", names] as const)]);
}

/**
 * RFC 9111 section 3.4: the part that a 206 brings, which is what was missing of `stored`, of the same representation; undefined when it can not be joined.
 *
 * @param newer Its end-to-end fields.
 */
export function restIn(
  stored: StoredResponse,
  missing: ByteRange,
  newer: Fields,
  framing: Framing,
  request: ClientRequest,
  responseTimeMs: number,
): ContentRange | undefined {
  const part = parseContentRange(newer);
  if (part === undefined || part.completeBytes !== stored.bodyBytes) return undefined;
  if (part.start !== missing.start || part.end !== missing.end) return undefined;
  if (framing.kind === "length" && framing.bytes !== bytesIn(part)) return undefined;
  if (!sameStrongValidator(stored.fields, newer, responseTimeMs)) return undefined;
  return renewalOf(stored, newer, request, responseTimeMs) === "stored" ? part : undefined;
}
