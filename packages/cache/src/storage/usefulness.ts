import type { StoredResponse } from "../stored-response.ts";

/** RFC 9111 section 4.2.4: when the origin can not be reached, what is stale may still be better than nothing; for so long it is kept for that. */
const KEPT_FOR_OUTAGES_MS = 24 * 60 * 60 * 1000;

/**
 * Until when a stored response can be of any use, in whole seconds since the epoch; 0: always, since the origin can be asked whether it is still good.
 */
export function usefulUntilSeconds({ fields, freshness }: Pick<StoredResponse, "fields" | "freshness">): number {
  if (fields.has("etag") || fields.has("last-modified")) return 0;
  const { lifetimeMs, initialAgeMs, responseTimeMs, control } = freshness;
  const { staleWhileRevalidateSeconds = 0, staleIfErrorSeconds = 0 } = control;
  const staleMs = Math.max(KEPT_FOR_OUTAGES_MS, 1000 * Math.max(staleWhileRevalidateSeconds, staleIfErrorSeconds));
  return Math.ceil((responseTimeMs + Math.max(0, lifetimeMs - initialAgeMs) + staleMs) / 1000);
}
