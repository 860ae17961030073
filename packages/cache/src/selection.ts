import {
  acceptsCoding,
  type CacheControl,
  evaluateRange,
  type ForwardReason,
  matchingVariants,
  mostRecent,
  NO_DIRECTIVES,
  type OriginFailure,
  parseCacheControl,
  type Reuse,
  reuse,
  reuseOnError,
} from "@proj/protocol";
import type { ClientRequest } from "./client-request.ts";
import { isForSameWords } from "./error-variant.ts";
import type { StoredResponse } from "./stored-response.ts";

/** What of a stored response its selection depends on. */
export type Selectable = Pick<
  StoredResponse,
  "variant" | "fields" | "freshness" | "bodyBytes" | "parts" | "onlyForRange" | "filledAfter"
>;

/** What the store holds for a request. `candidates`: other whole responses that this client could use, if the origin said so. */
export type Selection<Stored = StoredResponse> =
  | { kind: "none"; reason: "uri-miss" | "vary-miss"; candidates: readonly Stored[] }
  /** It matches, but bytes are missing that the client wants. */
  | { kind: "incomplete"; stored: Stored }
  | { kind: "stored"; stored: Stored; reuse: Reuse; candidates: readonly Stored[] };

const NOBODY: readonly never[] = [];
const NONE = { kind: "none", reason: "uri-miss", candidates: NOBODY } as const;

/**
 * Which of the stored variants answers `request`, and whether it may as it is (RFC 9111 section 4).
 *
 * @param validFrom What was filled after an earlier purge may itself have been purged: it is validated first.
 */
export function select<Stored extends Selectable>(
  variants: readonly Stored[],
  request: ClientRequest,
  nowMs: number,
  validFrom: number,
): Selection<Stored> {
  if (variants.length === 0) return NONE;
  const [only] = variants;
  if (variants.length === 1 && answersAnyRequest(only!)) {
    const reuse = reuseOf(only!, request, nowMs, validFrom);
    return { kind: "stored", stored: only!, reuse, candidates: NOBODY };
  }
  const usable = variants.filter((stored) => mayBeFor(request, stored));
  const stored = mostRecent(matchingVariants(usable, request));
  const candidates = usable.filter((other) => other !== stored && isWhole(other) && !isForSameWords(other.variant));
  if (stored === undefined) return { kind: "none", reason: "vary-miss", candidates };
  if (!holdsWhatIsWanted(stored, request, nowMs)) return { kind: "incomplete", stored };
  return { kind: "stored", stored, reuse: reuseOf(stored, request, nowMs, validFrom), candidates };
}

/** Why the origin is asked, where what is stored does not answer. */
export function forwardReasonOf(selection: Selection<unknown>): Exclude<ForwardReason, "bypass"> {
  if (selection.kind === "none") return selection.reason;
  if (selection.kind === "incomplete") return "partial";
  const { reuse } = selection;
  return reuse.use === "validate" && reuse.reason.startsWith("request-") ? "request" : "stale";
}

function reuseOf(stored: Selectable, request: ClientRequest, nowMs: number, validFrom: number): Reuse {
  return reuse(stored.freshness, requestControl(request), nowMs, isDoubtful(stored, validFrom));
}

/** Whether what is stale is better than nothing, now that the origin has failed (RFC 5861 section 4, RFC 9111 section 4.2.4). */
export function isGoodOnError(
  stored: Pick<StoredResponse, "freshness" | "filledAfter">,
  request: ClientRequest,
  failure: OriginFailure,
  nowMs: number,
  validFrom: number,
): boolean {
  const doubtful = isDoubtful(stored, validFrom);
  return reuseOnError(stored.freshness, requestControl(request), failure, nowMs, doubtful).use === "stale";
}

/** Whether a purge may have been missed that concerns it. */
export function isDoubtful({ filledAfter }: Pick<StoredResponse, "filledAfter">, validFrom: number): boolean {
  return filledAfter < validFrom;
}

function answersAnyRequest({ variant, fields, parts, onlyForRange }: Selectable): boolean {
  if (parts !== undefined || onlyForRange !== undefined) return false;
  return variant.varyNames.length === 0 && !fields.has("content-encoding");
}

/** Whether this client can use it at all, whatever it varies on. */
function mayBeFor(request: ClientRequest, stored: Selectable): boolean {
  if (stored.onlyForRange !== undefined) {
    const isSameRange = stored.onlyForRange === request.range && !request.fields.has("if-range");
    if (!isSameRange) return false;
  }
  return acceptsCoding(request.fields, stored.fields);
}

/** Whether all of the body is there. */
export function isWhole({ parts, onlyForRange }: Selectable): boolean {
  return onlyForRange === undefined && (parts?.isComplete ?? true);
}

function holdsWhatIsWanted({ parts, fields, bodyBytes }: Selectable, request: ClientRequest, nowMs: number): boolean {
  if (parts === undefined || request.method === "HEAD") return true;
  const wanted = request.range === undefined ? undefined : evaluateRange(request, fields, bodyBytes, nowMs);
  switch (wanted?.kind) {
    case "unsatisfiable":
      return true;
    case "single":
      return parts.covers(wanted.range);
    case "multiple":
      return wanted.ranges.every((range) => parts.covers(range));
    default:
      return parts.isComplete;
  }
}

/** The request's own Cache-Control. */
export function requestControl(request: ClientRequest): CacheControl {
  return request.hasDecidingFields ? parseCacheControl(request.fields) : NO_DIRECTIVES;
}
