import type { Fields } from "../http1/fields.ts";
import { parseEntityTag, parseEntityTags, strongMatch, weakMatch } from "./entity-tag.ts";
import { parseHttpDate } from "./http-date.ts";
import type { RequestMessage, ResponseMessage } from "./messages.ts";

/**
 * What a client's conditions make of a stored response that is otherwise fit to be sent:
 * send it (or its ranges); a 304 with {@link notModifiedFields}; or a condition on the current state of the resource is
 * not met by what is stored, which only the origin can judge: forward the request as it is.
 */
export type PreconditionOutcome = "proceed" | "not-modified" | "ask-origin";

/**
 * Evaluates If-Match, If-Unmodified-Since, If-None-Match and If-Modified-Since in the order of RFC 9110 section 13.2.2.
 * (If-Range belongs to the range: `evaluateRange`.) Where a condition fails that an origin server would answer with 412,
 * a cache does not (RFC 9111 section 4.3.2): its copy may be the older one.
 *
 * @param responseTimeMs When the stored response was received: stands for Date where there is none.
 */
export function evaluatePreconditions(
  request: RequestMessage,
  stored: ResponseMessage,
  responseTimeMs: number,
): PreconditionOutcome {
  // RFC 9110 section 13.2.1: no condition applies where the answer without it would be no 2xx.
  if (stored.status < 200 || stored.status > 299) return "proceed";
  if (request.method !== "GET" && request.method !== "HEAD") return "ask-origin";
  const { fields } = request;
  const ifMatch = fields.get("if-match");
  if (ifMatch !== undefined) {
    if (!matchesStrongly(ifMatch, stored.fields)) return "ask-origin";
  } else if (fields.has("if-unmodified-since") && !isUnmodified(fields, stored.fields, responseTimeMs)) {
    return "ask-origin";
  }
  const ifNoneMatch = fields.get("if-none-match");
  // RFC 9110 section 13.1.3: If-Modified-Since is ignored beside If-None-Match.
  const isHeld =
    ifNoneMatch === undefined
      ? isNotModified(fields, stored.fields, responseTimeMs)
      : matchesWeakly(ifNoneMatch, stored.fields);
  return isHeld ? "not-modified" : "proceed";
}

/** RFC 9110 section 13.1.1. */
function matchesStrongly(ifMatch: string, stored: Fields): boolean {
  const tags = parseEntityTags(ifMatch);
  if (tags === "*") return true;
  const own = parseEntityTag(stored.get("etag") ?? "");
  return own !== undefined && tags.some((tag) => strongMatch(tag, own));
}

/** RFC 9110 section 13.1.2. */
function matchesWeakly(ifNoneMatch: string, stored: Fields): boolean {
  const tags = parseEntityTags(ifNoneMatch);
  if (tags === "*") return true;
  const own = parseEntityTag(stored.get("etag") ?? "");
  return own !== undefined && tags.some((tag) => weakMatch(tag, own));
}

/** RFC 9110 section 13.1.4; a date that can not be read is ignored. Without a stored Last-Modified only the origin can tell. */
function isUnmodified(request: Fields, stored: Fields, responseTimeMs: number): boolean {
  const sinceMs = parseHttpDate(request.get("if-unmodified-since") ?? "", responseTimeMs);
  const lastModifiedMs = parseHttpDate(stored.get("last-modified") ?? "", responseTimeMs);
  return sinceMs === undefined || (lastModifiedMs !== undefined && lastModifiedMs <= sinceMs);
}

/**
 * RFC 9110 section 13.1.3, RFC 9111 section 4.3.2: Last-Modified, else Date, else the time of receipt, is not later than
 * the date asked about.
 */
function isNotModified(request: Fields, stored: Fields, responseTimeMs: number): boolean {
  const since = request.get("if-modified-since");
  const sinceMs = since === undefined ? undefined : parseHttpDate(since, responseTimeMs);
  if (sinceMs === undefined) return false;
  const lastModified = stored.get("last-modified");
  if (lastModified !== undefined) {
    const lastModifiedMs = parseHttpDate(lastModified, responseTimeMs);
    return lastModifiedMs !== undefined && lastModifiedMs <= sinceMs;
  }
  return (parseHttpDate(stored.get("date") ?? "", responseTimeMs) ?? responseTimeMs) <= sinceMs;
}

/** Says something of a body that a 304 does not have (RFC 9110 section 15.4.5). */
const OF_THE_CONTENT = new Set([
  "content-encoding",
  "content-language",
  "content-length",
  "content-range",
  "content-type",
  "transfer-encoding",
]);

/** The fields of a 304 made from a stored response (RFC 9110 section 15.4.5); Age is the caller's to set. */
export function notModifiedFields(stored: Fields): Fields {
  return stored.filter((lowerName) => !OF_THE_CONTENT.has(lowerName));
}
