import type { Fields } from "../http1/fields.ts";
import { type CacheControl, parseDeltaSeconds } from "./cache-control.ts";
import { parseHttpDate } from "./http-date.ts";
import { listMembers } from "./list-members.ts";
import type { ResponseMessage } from "./messages.ts";
import { type EffectiveCacheControl, effectiveCacheControl } from "./targeted-cache-control.ts";

/** What set a lifetime: a directive, the Expires field, a guess from Last-Modified, an operator's rule, or nothing. */
export type LifetimeBasis = "s-maxage" | "max-age" | "expires" | "heuristic" | "rule" | "none";

/** Plain values, taken once when a response is stored or validated; all that a later reuse decision needs of it. */
export interface Freshness {
  readonly lifetimeMs: number;
  readonly basis: LifetimeBasis;
  /** Its age when it was received (RFC 9111 section 4.2.3, corrected_initial_age). */
  readonly initialAgeMs: number;
  /** When it was received, by the clock that `nowMs` is later read from. */
  readonly responseTimeMs: number;
  /** The directives that govern it here. */
  readonly control: CacheControl;
}

/** Longest guess: what no one vouches for is asked about once a day. */
export const HEURISTIC_LIFETIME_MAX_MS = 24 * 60 * 60 * 1000;

/** RFC 9111 section 4.2.2: a tenth of the time since it was last modified, as is typical. */
const HEURISTIC_FRACTION = 0.1;

/** Statuses that may be reused without being told so (RFC 9110 section 15.1). */
const HEURISTICALLY_CACHEABLE = new Set([200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501]);

export function isHeuristicallyCacheable(status: number): boolean {
  return HEURISTICALLY_CACHEABLE.has(status);
}

/** What an operator has decided about freshness, in place of what the origin says of it. */
export interface FreshnessRule {
  /** From the arrival of a response on; only where {@link takesTtl}. */
  readonly ttlSeconds?: number;
  readonly staleWhileRevalidateSeconds?: number;
  readonly staleIfErrorSeconds?: number;
}

/** Whether a rule's time to live is for responses of this status: good ones and lasting redirects. Errors live as long as the origin says. */
export function takesTtl(status: number): boolean {
  return status < 400 && HEURISTICALLY_CACHEABLE.has(status);
}

/**
 * Lifetime, age and directives of a response as it arrives.
 *
 * @param requestTimeMs When the request for it was sent, on the same clock as `responseTimeMs`.
 * @param responseTimeMs When its head was received; wall clock, since it is compared with the origin's Date.
 * @param rule Replaces lifetime and stale windows. What forbids storing, or demands validation in words, stays in force.
 */
export function freshnessOf(
  response: ResponseMessage,
  requestTimeMs: number,
  responseTimeMs: number,
  rule?: FreshnessRule,
): Freshness {
  const effective = effectiveCacheControl(response.fields);
  const { lifetimeMs, basis } = lifetimeOf(response, effective, responseTimeMs);
  const freshness: Freshness = {
    lifetimeMs,
    basis,
    initialAgeMs: initialAgeMs(response.fields, requestTimeMs, responseTimeMs),
    responseTimeMs,
    control: effective.control,
  };
  return rule === undefined ? freshness : ruled(freshness, response.status, rule);
}

function ruled(freshness: Freshness, status: number, rule: FreshnessRule): Freshness {
  const { ttlSeconds, staleWhileRevalidateSeconds, staleIfErrorSeconds } = rule;
  const ttl = takesTtl(status) ? ttlSeconds : undefined;
  if (ttl === undefined && staleWhileRevalidateSeconds === undefined && staleIfErrorSeconds === undefined)
    return freshness;
  const { control } = freshness;
  return {
    ...freshness,
    ...(ttl !== undefined && { lifetimeMs: freshness.initialAgeMs + ttl * 1000, basis: "rule" as const }),
    control: {
      ...control,
      // It forbids stale use only by implication, as a way to say how long (RFC 9111 section 5.2.2.10); must-revalidate still does.
      sMaxAgeSeconds: undefined,
      staleWhileRevalidateSeconds: staleWhileRevalidateSeconds ?? control.staleWhileRevalidateSeconds,
      staleIfErrorSeconds: staleIfErrorSeconds ?? control.staleIfErrorSeconds,
    },
  };
}

/** For how long a response is fresh, counted from its generation (RFC 9111 section 4.2.1); see {@link freshnessOf}. */
export function freshnessLifetimeMs(response: ResponseMessage, responseTimeMs: number): number {
  return lifetimeOf(response, effectiveCacheControl(response.fields), responseTimeMs).lifetimeMs;
}

function lifetimeOf(
  response: ResponseMessage,
  { control, source }: EffectiveCacheControl,
  responseTimeMs: number,
): { lifetimeMs: number; basis: LifetimeBasis } {
  if (control.sMaxAgeSeconds !== undefined) return { lifetimeMs: control.sMaxAgeSeconds * 1000, basis: "s-maxage" };
  if (control.maxAgeSeconds !== undefined) return { lifetimeMs: control.maxAgeSeconds * 1000, basis: "max-age" };
  const { fields } = response;
  const dateMs = dateOf(fields, responseTimeMs) ?? responseTimeMs;
  // RFC 9213 section 2.2: where a targeted field decides, Expires is ignored as Cache-Control is.
  if (source === "cache-control" && fields.has("expires")) {
    const expiresMs = soleDate(fields, "expires", responseTimeMs);
    // RFC 9111 section 5.3: unreadable, "0" above all, is a time in the past.
    return { lifetimeMs: expiresMs === undefined ? 0 : Math.max(0, expiresMs - dateMs), basis: "expires" };
  }
  return heuristicLifetime(response, control, dateMs, responseTimeMs);
}

/** RFC 9111 section 4.2.2. */
function heuristicLifetime(
  response: ResponseMessage,
  control: CacheControl,
  dateMs: number,
  responseTimeMs: number,
): { lifetimeMs: number; basis: LifetimeBasis } {
  const lastModifiedMs = soleDate(response.fields, "last-modified", responseTimeMs);
  const mayGuess = isHeuristicallyCacheable(response.status) || control.public;
  if (!mayGuess || lastModifiedMs === undefined) return { lifetimeMs: 0, basis: "none" };
  const guessMs = Math.floor((dateMs - lastModifiedMs) * HEURISTIC_FRACTION);
  return { lifetimeMs: Math.min(Math.max(0, guessMs), HEURISTIC_LIFETIME_MAX_MS), basis: "heuristic" };
}

/**
 * How old a response already was when it arrived (RFC 9111 section 4.2.3): by its Date or by its Age plus the time the
 * exchange took, whichever says older.
 */
export function initialAgeMs(fields: Fields, requestTimeMs: number, responseTimeMs: number): number {
  const dateMs = dateOf(fields, responseTimeMs);
  const apparentAgeMs = dateMs === undefined ? 0 : Math.max(0, responseTimeMs - dateMs);
  const responseDelayMs = Math.max(0, responseTimeMs - requestTimeMs); // The clock may have been set back meanwhile.
  return Math.max(apparentAgeMs, ageValueMs(fields) + responseDelayMs);
}

/** RFC 9111 section 5.1: of several values the first counts; one that is no number is ignored. */
function ageValueMs(fields: Fields): number {
  const value = fields.get("age");
  const first = value === undefined ? undefined : listMembers(value)[0];
  return first === undefined ? 0 : (parseDeltaSeconds(first) ?? 0) * 1000;
}

/** RFC 9110 section 6.6.1; undefined when absent, unreadable or given twice differently. */
function dateOf(fields: Fields, responseTimeMs: number): number | undefined {
  return soleDate(fields, "date", responseTimeMs);
}

/** A date field's time; RFC 9111 section 4.2.1: of contradicting lines none is believed. */
function soleDate(fields: Fields, name: string, nowMs: number): number | undefined {
  const lines = fields.all(name);
  const [first] = lines;
  if (first === undefined || lines.some((line) => line !== first)) return undefined;
  return parseHttpDate(first, nowMs);
}

/**
 * Of several stored responses that answer one request, the one to use (RFC 9111 section 4): the most recent by its Date, and of two of one second the
 * one that was received last.
 */
export function mostRecent<Stored extends { readonly fields: Fields; readonly freshness: Freshness }>(
  stored: readonly Stored[],
): Stored | undefined {
  const [only] = stored;
  if (stored.length < 2) return only;
  const generatedMs = ({ fields, freshness: { responseTimeMs } }: Stored) =>
    dateOf(fields, responseTimeMs) ?? responseTimeMs;
  return stored.reduce((latest, one) => {
    const later = generatedMs(one) - generatedMs(latest);
    const receivedLater = one.freshness.responseTimeMs - latest.freshness.responseTimeMs;
    return later > 0 || (later === 0 && receivedLater >= 0) ? one : latest;
  });
}

/**
 * RFC 9111 section 4.2.3, current_age. Of what has arrived later than it is now, by a clock that was set back, nobody knows for how long it has been here; so that it does not stay
 * fresh until the clock has come so far again, it counts for as old as the clock is behind.
 */
export function currentAgeMs(freshness: Freshness, nowMs: number): number {
  return freshness.initialAgeMs + Math.abs(nowMs - freshness.responseTimeMs);
}

/** How much longer it is fresh; negative: for how long it has been stale. */
export function ttlMs(freshness: Freshness, nowMs: number): number {
  return freshness.lifetimeMs - currentAgeMs(freshness, nowMs);
}

/** RFC 9111 section 4.2: the lifetime is greater than the age. */
export function isFresh(freshness: Freshness, nowMs: number): boolean {
  return ttlMs(freshness, nowMs) > 0;
}

/** The value of the Age field to send with a stored response: whole seconds (RFC 9111 section 5.1). */
export function ageFieldValue(freshness: Freshness, nowMs: number): string {
  return String(Math.floor(currentAgeMs(freshness, nowMs) / 1000));
}

/** The same response, stale from `nowMs` on at the latest: what a soft purge leaves. */
export function madeStale(freshness: Freshness, nowMs: number): Freshness {
  return { ...freshness, lifetimeMs: Math.min(freshness.lifetimeMs, currentAgeMs(freshness, nowMs)) };
}
