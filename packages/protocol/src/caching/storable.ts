import type { Fields } from "../http1/fields.ts";
import { type CacheControl, parseCacheControl } from "./cache-control.ts";
import { parseContentRange } from "./content-range.ts";
import { type FreshnessRule, isHeuristicallyCacheable, takesTtl } from "./freshness.ts";
import type { RequestMessage, ResponseMessage } from "./messages.ts";
import { effectiveCacheControl } from "./targeted-cache-control.ts";
import { varyNames } from "./vary.ts";

/** Why a response is not stored ("post": RFC 9110 section 9.3.3 is not met); stable, for counters, `explain` and the detail of Cache-Status. */
export type NotStorableReason =
  | "method"
  | "not-final"
  | "not-modified"
  | "content-range"
  | "about-the-request"
  | "must-understand"
  | "request-no-store"
  | "no-store"
  | "private"
  | "authorization"
  | "vary-star"
  | "no-freshness"
  | "set-cookie"
  | "post"
  | "never-reusable";

export type Storable = { readonly storable: true } | { readonly storable: false; readonly reason: NotStorableReason };

/** The request a response answers; `uri`, absolute, is only read for POST. */
export interface StorableRequest extends RequestMessage {
  readonly uri?: string;
}

/** Final statuses whose meaning for caching is known here: those of RFC 9110 section 15 (must-understand, 5.2.2.3). */
const UNDERSTOOD = new Set([
  200, 201, 202, 203, 204, 205, 206, 300, 301, 302, 303, 304, 305, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407,
  408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 426, 500, 501, 502, 503, 504, 505,
]);

/**
 * Whether a shared cache may store a response, and has a use for it (RFC 9111 sections 3 and 3.5).
 *
 * A response to HEAD is never stored of its own: `headEffect` says what it does to a stored GET. That the body arrived
 * whole is the caller's to know (section 3.3).
 *
 * @param rule May vouch for the freshness that the origin says nothing about. It allows nothing that the origin forbids.
 */
export function storable(request: StorableRequest, response: ResponseMessage, rule: FreshnessRule = {}): Storable {
  const { control, source } = effectiveCacheControl(response.fields);
  // RFC 9213 section 2.2: where a targeted field decides, Expires says nothing.
  const expires = source === "cache-control" && response.fields.has("expires");
  const isExplicit = expires || control.maxAgeSeconds !== undefined || control.sMaxAgeSeconds !== undefined;
  const reason =
    refusedByMethod(request, response, isExplicit) ??
    refusedByStatus(response, control) ??
    refusedByDirectives(request, response, control) ??
    refusedForLackOfFreshness(response, control, isExplicit, rule) ??
    (isReusable(response, control, expires, rule) ? undefined : "never-reusable");
  return reason === undefined ? { storable: true } : { storable: false, reason };
}

function refusedByMethod(
  request: StorableRequest,
  response: ResponseMessage,
  isExplicit: boolean,
): NotStorableReason | undefined {
  if (request.method === "GET") return undefined;
  if (request.method !== "POST") return "method";
  // RFC 9110 section 9.3.3: for a later GET, with explicit freshness and a Content-Location that is the target itself.
  const location = response.fields.get("content-location");
  const isTarget = location !== undefined && request.uri !== undefined && isSameUri(location, request.uri);
  return response.status === 200 && isExplicit && isTarget ? undefined : "post";
}

/**
 * Answers to something in one request that is no part of the key: its credentials, conditions, Range, length, rate. The
 * RFC lets an origin make them storable; whoever can provoke one would then answer for everybody else.
 */
const ABOUT_THE_REQUEST = new Set([401, 407, 408, 411, 412, 413, 415, 416, 417, 421, 426, 428, 429, 431]);

function refusedByStatus({ status, fields }: ResponseMessage, control: CacheControl): NotStorableReason | undefined {
  if (status < 200) return "not-final";
  if (status === 304) return "not-modified";
  if (ABOUT_THE_REQUEST.has(status)) return "about-the-request";
  if (control.mustUnderstand && !UNDERSTOOD.has(status)) return "must-understand";
  // Section 3.3: a part has to say which; several parts in one body are not taken apart.
  return status === 206 && parseContentRange(fields) === undefined ? "content-range" : undefined;
}

function refusedByDirectives(
  request: RequestMessage,
  response: ResponseMessage,
  control: CacheControl,
): NotStorableReason | undefined {
  if (parseCacheControl(request.fields).noStore) return "request-no-store"; // Section 5.2.1.5
  // Section 5.2.2.3: no-store beside must-understand is for caches that do not know must-understand.
  if (control.noStore && !control.mustUnderstand) return "no-store";
  if (control.private) return "private";
  // Section 3.5
  const sharesAuthorized = control.public || control.mustRevalidate || control.sMaxAgeSeconds !== undefined;
  if (request.fields.has("authorization") && !sharesAuthorized) return "authorization";
  return varyNames(response.fields) === "*" ? "vary-star" : undefined; // Section 4.1: it would never match
}

function refusedForLackOfFreshness(
  { status, fields }: ResponseMessage,
  control: CacheControl,
  isExplicit: boolean,
  rule: FreshnessRule,
): NotStorableReason | undefined {
  if (control.public) return undefined;
  const isRuled = rule.ttlSeconds !== undefined && takesTtl(status);
  if (isExplicit && !isRuled) return undefined;
  if (!isExplicit && !isHeuristicallyCacheable(status)) return "no-freshness";
  // Section 7.3 leaves it to the origin to say. A cookie that it says nothing about, or gives no time to, is most likely meant for one client.
  const isShared = isExplicit && (control.sMaxAgeSeconds ?? control.maxAgeSeconds ?? 0) > 0;
  return fields.has("set-cookie") && !isShared ? "set-cookie" : undefined;
}

/** Not a rule of the RFC but thrift: without freshness, validator or leave to be stale, nothing could ever come of it. */
function isReusable(
  { status, fields }: ResponseMessage,
  control: CacheControl,
  expires: boolean,
  rule: FreshnessRule,
): boolean {
  if (fields.has("etag") || fields.has("last-modified")) return true;
  if (control.noCache) return false;
  if (rule.ttlSeconds !== undefined && rule.ttlSeconds > 0 && takesTtl(status)) return true;
  const lifetimeSeconds = control.sMaxAgeSeconds ?? control.maxAgeSeconds ?? (expires ? 1 : 0);
  const { staleWhileRevalidateSeconds = 0, staleIfErrorSeconds = 0 } = control;
  return Math.max(lifetimeSeconds, staleWhileRevalidateSeconds, staleIfErrorSeconds) > 0;
}

/** Whether a reference, resolved against a URI, is that URI itself. */
export function isSameUri(reference: string, base: string): boolean {
  const resolved = URL.parse(reference, base);
  return resolved !== null && resolved.href === URL.parse(base)?.href;
}

/** RFC 9111 section 3.1: of one hop or one client. Those named by Connection go with `endToEndFields`. */
const NOT_STORED = new Set(["proxy-authenticate", "proxy-authentication-info", "proxy-authorization"]);

/**
 * The fields of a response to store: not those of section 3.1, nor those a qualified `no-cache` or `private` withholds.
 *
 * @param endToEnd The response's fields as `endToEndFields` leaves them. Where all of them are to be stored it is what is returned, so nobody may change it any more.
 */
export function fieldsToStore(endToEnd: Fields): Fields {
  const { control } = effectiveCacheControl(endToEnd);
  const withheld =
    control.withheldFields.length === 0 ? NOT_STORED : new Set([...NOT_STORED, ...control.withheldFields]);
  return endToEnd.without(withheld);
}
