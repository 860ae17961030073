import type { OriginError } from "@proj/origin";
import { forbidsStale, parseHttpDate, type Refusal } from "@proj/protocol";
import type { StoredResponse } from "./stored-response.ts";

/** While a stale response is good enough, an origin that has just failed is left alone for so long; a Retry-After of its own may make it longer. */
const QUIET_MS = 2_000;
const QUIET_MS_MAX = 30_000;

/** For how long an origin that failed is not asked again: Retry-After, in seconds or a date (RFC 9110 section 10.2.3), within reason. */
export function quietMs(retryAfter: string | undefined, nowMs: number): number {
  const wantedMs = retryAfter === undefined ? 0 : retryAfterMs(retryAfter, nowMs);
  return Math.min(QUIET_MS_MAX, Math.max(QUIET_MS, wantedMs));
}

/** Whether the origin is still left alone; not by a clock that was set back meanwhile. */
export function isQuiet(quietUntilMs: number, nowMs: number): boolean {
  return nowMs < quietUntilMs && quietUntilMs - nowMs <= QUIET_MS_MAX;
}

function retryAfterMs(retryAfter: string, nowMs: number): number {
  if (/^[0-9]{1,9}$/.test(retryAfter)) return Number(retryAfter) * 1000;
  return (parseHttpDate(retryAfter, nowMs) ?? nowMs) - nowMs;
}

/**
 * What those are told who waited for an origin that gave no response.
 *
 * @param stored What would be the answer, if it did not have to be validated: must-revalidate asks for a 504 then (RFC 9111 section 5.2.2.2).
 */
export function refusalOf(error: OriginError, stored: StoredResponse | undefined): Refusal {
  const isAway = error.code === "ERR_ORIGIN_CONNECT" || error.code === "ERR_ORIGIN_CUT_SHORT";
  return isAway && stored !== undefined && forbidsStale(stored.freshness.control) ? "unvalidated" : error.fault;
}
