import type { OriginError } from "@proj/origin";
import type { Refusal } from "@proj/protocol";

/** While a stale response is good enough, an origin that has just failed is left alone for so long; a Retry-After of its own may make it longer. */
const QUIET_MS = 2_000;
const QUIET_MS_MAX = 30_000;

/** For how long an origin that failed is not asked again: Retry-After in seconds (RFC 9110 section 10.2.3), within reason. */
export function quietMs(retryAfter: string | undefined): number {
  const seconds = /^[0-9]{1,9}$/.test(retryAfter ?? "") ? Number(retryAfter) : 0;
  return Math.min(QUIET_MS_MAX, Math.max(QUIET_MS, seconds * 1000));
}

/** What those are told who waited for an origin that gave no response. */
export function refusalOf(error: OriginError): Refusal {
  if (error.code === "ERR_ORIGIN_TIMEOUT") return "origin-timeout";
  return error.code === "ERR_ORIGIN_POOL_FULL" ? "overloaded" : "origin-error";
}
