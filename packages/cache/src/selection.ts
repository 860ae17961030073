import {
  acceptsCoding,
  type CacheControl,
  evaluateRange,
  matchingVariants,
  mostRecent,
  NO_DIRECTIVES,
  parseCacheControl,
  type Reuse,
  reuse,
} from "@proj/protocol";
import type { ClientRequest } from "./client-request.ts";
import type { StoredResponse } from "./stored-response.ts";

/** What the store holds for a request. `candidates`: other whole responses that this client could use, if the origin said so. */
export type Selection =
  | { kind: "none"; reason: "uri-miss" | "vary-miss"; candidates: readonly StoredResponse[] }
  /** It matches, but bytes are missing that the client wants. */
  | { kind: "incomplete"; stored: StoredResponse }
  | { kind: "stored"; stored: StoredResponse; reuse: Reuse; candidates: readonly StoredResponse[] };

const NOBODY: readonly StoredResponse[] = [];
const NONE: Selection = { kind: "none", reason: "uri-miss", candidates: NOBODY };

/** Which of the stored variants answers `request`, and whether it may as it is (RFC 9111 section 4). */
export function select(variants: readonly StoredResponse[], request: ClientRequest, nowMs: number): Selection {
  if (variants.length === 0) return NONE;
  const [only] = variants;
  if (variants.length === 1 && answersAnyRequest(only!)) {
    return { kind: "stored", stored: only!, reuse: reuseOf(only!, request, nowMs), candidates: NOBODY };
  }
  const usable = variants.filter((stored) => mayBeFor(request, stored));
  const stored = mostRecent(matchingVariants(usable, request.fields));
  const candidates = usable.filter((other) => other !== stored && isWhole(other));
  if (stored === undefined) return { kind: "none", reason: "vary-miss", candidates };
  if (!holdsWhatIsWanted(stored, request, nowMs)) return { kind: "incomplete", stored };
  return { kind: "stored", stored, reuse: reuseOf(stored, request, nowMs), candidates };
}

function reuseOf(stored: StoredResponse, request: ClientRequest, nowMs: number): Reuse {
  return reuse(stored.freshness, requestControl(request), nowMs);
}

function answersAnyRequest({ variant, fields, parts, onlyForRange }: StoredResponse): boolean {
  if (parts !== undefined || onlyForRange !== undefined) return false;
  return variant.varyNames.length === 0 && !fields.has("content-encoding");
}

/** Whether this client can use it at all, whatever it varies on. */
function mayBeFor(request: ClientRequest, stored: StoredResponse): boolean {
  if (stored.onlyForRange !== undefined) {
    const isSameRange = stored.onlyForRange === request.range && !request.fields.has("if-range");
    if (!isSameRange) return false;
  }
  return acceptsCoding(request.fields, stored.fields);
}

/** Whether all of the body is there. */
export function isWhole({ parts, onlyForRange }: StoredResponse): boolean {
  return onlyForRange === undefined && (parts?.isComplete ?? true);
}

function holdsWhatIsWanted(
  { parts, fields, bodyBytes }: StoredResponse,
  request: ClientRequest,
  nowMs: number,
): boolean {
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
