/** Why a request went to the origin (RFC 9211 section 2.2). */
export type ForwardReason = "bypass" | "method" | "uri-miss" | "vary-miss" | "miss" | "request" | "stale" | "partial";

/** How this cache handled one request (RFC 9211 section 2). */
export interface CacheStatus {
  /** Answered from the store, not forwarded: then `forwarded` is absent. */
  readonly hit?: boolean | undefined;
  readonly forwarded?: ForwardReason | undefined;
  /** Status the origin answered with, where it differs from what the client gets: 304 after a validation. */
  readonly forwardedStatus?: number | undefined;
  /** Remaining freshness, negative when stale. */
  readonly ttlMs?: number | undefined;
  /** The response was stored. */
  readonly stored?: boolean;
  /** The request waited for another one's response. */
  readonly collapsed?: boolean;
  /** The cache key, for a client that may see it. */
  readonly key?: string;
  /** A token of our own that says more, such as `stale-if-error`. */
  readonly detail?: string;
}

const CACHE_NAME = "webproxy";
const STRING_BYTES = /^[\x20-\x7e]*$/;
const TOKEN = /^[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*$/;

/**
 * The Cache-Status value that this cache adds, in the RFC's order of parameters.
 *
 * @param upstream The response's own Cache-Status value: caches nearer the origin stand before this one.
 */
export function renderCacheStatus(status: CacheStatus, upstream?: string): string {
  let value = upstream === undefined || upstream === "" ? CACHE_NAME : `${upstream}, ${CACHE_NAME}`;
  if (status.hit === true) value += "; hit";
  if (status.forwarded !== undefined) value += `; fwd=${status.forwarded}`;
  if (status.forwardedStatus !== undefined) value += `; fwd-status=${status.forwardedStatus}`;
  if (status.ttlMs !== undefined) value += `; ttl=${Math.floor(status.ttlMs / 1000)}`;
  if (status.stored === true) value += "; stored";
  if (status.collapsed === true) value += "; collapsed";
  if (status.key !== undefined) value += renderString("key", status.key);
  if (status.detail !== undefined) {
    value += TOKEN.test(status.detail) ? `; detail=${status.detail}` : renderString("detail", status.detail);
  }
  return value;
}

/** RFC 9651 section 3.3.3; nothing for text that a String can not hold. */
function renderString(name: string, text: string): string {
  return STRING_BYTES.test(text) ? `; ${name}="${text.replace(/["\\]/g, "\\$&")}"` : "";
}
