import type { CacheControl } from "./cache-control.ts";
import { currentAgeMs, type Freshness, ttlMs } from "./freshness.ts";

/** Why a stored response has to be validated before it is used. */
export type ValidationReason =
  | "stale"
  | "no-cache"
  | "request-no-cache"
  | "request-max-age"
  | "request-min-fresh"
  | "invalidated";

/** What may be done with a stored response for one request. `ttlMs` is negative where it is stale. */
export type Reuse =
  /** Send it. */
  | { readonly use: "fresh"; readonly ttlMs: number }
  /** Send it, although it is stale; with "stale-while-revalidate" also validate it, once, in the background. */
  | { readonly use: "stale"; readonly reason: "max-stale" | "stale-while-revalidate"; readonly ttlMs: number }
  /** Ask the origin first; if that fails, {@link reuseOnError} says whether it may be sent after all. */
  | { readonly use: "validate"; readonly reason: ValidationReason; readonly ttlMs: number }
  /** As "validate", but the client has forbidden to ask: answer 504 (RFC 9111 section 5.2.1.7). */
  | { readonly use: "gateway-timeout"; readonly reason: ValidationReason; readonly ttlMs: number };

/**
 * Whether a stored response that matches a GET or HEAD request (URI, Vary) may be used for it (RFC 9111 section 4).
 *
 * @param request The request's Cache-Control; `Pragma` has no say (section 5.4).
 * @param invalidated Set by invalidation (section 4.4): not to be used without validation. (A soft purge only makes stale:
 *   `madeStale`.)
 */
export function reuse(stored: Freshness, request: CacheControl, nowMs: number, invalidated = false): Reuse {
  const remainingMs = ttlMs(stored, nowMs);
  const reason = validationReason(stored, request, nowMs, remainingMs, invalidated);
  if (reason === undefined) return { use: "fresh", ttlMs: remainingMs };
  if (reason === "stale") {
    const permission = stalePermission(stored, request, nowMs);
    if (permission !== undefined) return { use: "stale", reason: permission, ttlMs: remainingMs };
  }
  return { use: request.onlyIfCached ? "gateway-timeout" : "validate", reason, ttlMs: remainingMs };
}

function validationReason(
  stored: Freshness,
  request: CacheControl,
  nowMs: number,
  remainingMs: number,
  invalidated: boolean,
): ValidationReason | undefined {
  if (invalidated) return "invalidated";
  if (stored.control.noCache) return "no-cache"; // RFC 9111 section 5.2.2.4
  if (request.noCache) return "request-no-cache"; // section 5.2.1.4
  if (remainingMs <= 0) return "stale";
  // RFC 8246 section 2: while it is fresh, a reload (max-age=0) finds nothing new; no-cache, above, still asks.
  if (!stored.control.immutable && isOlderThanAsked(stored, request, nowMs)) return "request-max-age";
  const { minFreshSeconds } = request; // section 5.2.1.3
  return minFreshSeconds !== undefined && remainingMs < minFreshSeconds * 1000 ? "request-min-fresh" : undefined;
}

/** RFC 9111 section 5.2.1.1. */
function isOlderThanAsked(stored: Freshness, { maxAgeSeconds }: CacheControl, nowMs: number): boolean {
  return maxAgeSeconds !== undefined && currentAgeMs(stored, nowMs) > maxAgeSeconds * 1000;
}

/** RFC 9111 section 4.2.4, for a response that is stale and not otherwise in need of validation. */
function stalePermission(
  stored: Freshness,
  request: CacheControl,
  nowMs: number,
): "max-stale" | "stale-while-revalidate" | undefined {
  if (forbidsStale(stored.control) || isOlderThanAsked(stored, request, nowMs)) return undefined;
  // Section 5.2.1.3: who asks for freshness to spare does not want it stale, whatever the origin allows.
  if (request.minFreshSeconds !== undefined) return undefined;
  const staleMs = -ttlMs(stored, nowMs);
  const { maxStaleSeconds } = request;
  if (maxStaleSeconds !== undefined && staleMs <= maxStaleSeconds * 1000) return "max-stale"; // section 5.2.1.2
  // Section 5.2.1.1: nor who limits its age, unless max-stale says so.
  if (request.maxAgeSeconds !== undefined) return undefined;
  const { staleWhileRevalidateSeconds } = stored.control; // RFC 5861 section 3
  const inWindow = staleWhileRevalidateSeconds !== undefined && staleMs < staleWhileRevalidateSeconds * 1000;
  return inWindow ? "stale-while-revalidate" : undefined;
}

/**
 * Directives by which a stale response must never leave a shared cache without validation: must-revalidate,
 * proxy-revalidate, s-maxage, which includes the latter, and no-cache (RFC 9111 sections 4.2.4, 5.2.2.2, 5.2.2.8,
 * 5.2.2.10). They win over stale-while-revalidate and stale-if-error: the most restrictive directive is honoured.
 */
export function forbidsStale(control: CacheControl): boolean {
  return control.mustRevalidate || control.proxyRevalidate || control.sMaxAgeSeconds !== undefined || control.noCache;
}

/** How the origin failed: no usable response at all, or a final response with this status. */
export type OriginFailure = { readonly kind: "unreachable" } | { readonly kind: "status"; readonly status: number };

/** Whether a stored response may be sent in place of the failure, and why. */
export type ReuseOnError =
  | { readonly use: "stale"; readonly reason: "stale-if-error" | "disconnected" | "server-error" }
  | {
      readonly use: "error";
      readonly reason: "not-a-failure" | "forbidden" | "request-no-cache" | "too-stale" | "invalidated";
    };

/** RFC 5861 section 4: what counts as an error there. */
const ERROR_STATUSES = new Set([500, 502, 503, 504]);

/**
 * Whether a stored response may be sent because validating it failed (RFC 9111 sections 4.2.4, 4.3.3, RFC 5861 section 4).
 *
 * A cache that can not reach its origin may send what it has unless a directive forbids it; a server error may be taken
 * for that. `stale-if-error`, of the response or the request, sets for how long, where it is given.
 *
 * @param invalidated As in {@link reuse}: what the origin has since changed is known to be wrong, so it is not sent.
 */
export function reuseOnError(
  stored: Freshness,
  request: CacheControl,
  failure: OriginFailure,
  nowMs: number,
  invalidated = false,
): ReuseOnError {
  if (failure.kind === "status" && !ERROR_STATUSES.has(failure.status)) {
    return { use: "error", reason: "not-a-failure" };
  }
  if (invalidated) return { use: "error", reason: "invalidated" };
  if (forbidsStale(stored.control)) return { use: "error", reason: "forbidden" };
  if (request.noCache) return { use: "error", reason: "request-no-cache" };
  const staleMs = -ttlMs(stored, nowMs);
  const allowed = [stored.control.staleIfErrorSeconds, request.staleIfErrorSeconds].filter((s) => s !== undefined);
  if (allowed.length > 0) {
    const inWindow = allowed.some((seconds) => staleMs < seconds * 1000);
    return inWindow ? { use: "stale", reason: "stale-if-error" } : { use: "error", reason: "too-stale" };
  }
  return { use: "stale", reason: failure.kind === "unreachable" ? "disconnected" : "server-error" };
}
