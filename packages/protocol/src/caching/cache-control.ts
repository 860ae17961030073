import type { Fields } from "../http1/fields.ts";
import { type Directive, parseDirectives } from "./directives.ts";
import { isToken, listMembers } from "./list-members.ts";
import { ParsedValues } from "./parsed-values.ts";

/**
 * What a Cache-Control field asks for, of a request or of a response (RFC 9111 section 5.2, RFC 5861, RFC 8246).
 *
 * Times are whole seconds, at most 2^31 (RFC 9111 section 1.2.2), undefined when the directive is absent. Where a field
 * is malformed or contradicts itself, this holds the most restrictive reading (RFC 9111 section 4.2.1): a lifetime that
 * can not be read is 0, of two lifetimes the shorter one counts.
 */
export interface CacheControl {
  readonly maxAgeSeconds: number | undefined;
  readonly noCache: boolean;
  readonly noStore: boolean;
  readonly noTransform: boolean;
  /** Requests and responses: RFC 5861 section 4. */
  readonly staleIfErrorSeconds: number | undefined;

  /** Requests: how stale the client will accept; Infinity for `max-stale` without a value. */
  readonly maxStaleSeconds: number | undefined;
  /** Requests: how much longer it has to stay fresh. */
  readonly minFreshSeconds: number | undefined;
  readonly onlyIfCached: boolean;

  /** Responses, shared caches only. */
  readonly sMaxAgeSeconds: number | undefined;
  /** Responses: RFC 5861 section 3. */
  readonly staleWhileRevalidateSeconds: number | undefined;
  readonly private: boolean;
  readonly public: boolean;
  readonly mustRevalidate: boolean;
  readonly proxyRevalidate: boolean;
  readonly mustUnderstand: boolean;
  readonly immutable: boolean;
  /** Responses: fields named by qualified `no-cache` and `private`, in lower case; they are not to be stored. */
  readonly withheldFields: readonly string[];
}

/** RFC 9111 section 1.2.2: what an overflowing delta-seconds counts as. */
export const DELTA_SECONDS_MAX = 2 ** 31;

/** No directive at all: what an absent field says. */
export const NO_DIRECTIVES: CacheControl = Object.freeze({
  maxAgeSeconds: undefined,
  noCache: false,
  noStore: false,
  noTransform: false,
  staleIfErrorSeconds: undefined,
  maxStaleSeconds: undefined,
  minFreshSeconds: undefined,
  onlyIfCached: false,
  sMaxAgeSeconds: undefined,
  staleWhileRevalidateSeconds: undefined,
  private: false,
  public: false,
  mustRevalidate: false,
  proxyRevalidate: false,
  mustUnderstand: false,
  immutable: false,
  withheldFields: Object.freeze([]),
});

/**
 * The directives of a message's Cache-Control field, all its lines together. Never throws.
 *
 * For a response use `effectiveCacheControl`, which also knows the targeted fields that override this one.
 */
export function parseCacheControl(fields: Fields): CacheControl {
  const lines = fields.all("cache-control");
  const [only] = lines;
  if (only === undefined) return NO_DIRECTIVES;
  return lines.length === 1 ? CONTROLS.of(only) : cacheControlFrom(lines.flatMap(parseDirectives));
}

/** Sites have few values of it, and each message one of them. */
const CONTROLS = new ParsedValues((value) => cacheControlFrom(parseDirectives(value)));

type Mutable = { -readonly [Key in keyof CacheControl]: CacheControl[Key] };

/** The directives taken together; of a repeated one the most restrictive counts. */
export function cacheControlFrom(directives: Iterable<Directive>): CacheControl {
  const control: Mutable = { ...NO_DIRECTIVES, withheldFields: [] };
  for (const directive of directives) apply(control, directive);
  return control;
}

function apply(control: Mutable, directive: Directive): void {
  switch (directive.name) {
    case "max-age":
      control.maxAgeSeconds = shorter(control.maxAgeSeconds, seconds(directive) ?? 0);
      break;
    case "s-maxage":
      control.sMaxAgeSeconds = shorter(control.sMaxAgeSeconds, seconds(directive) ?? 0);
      break;
    case "stale-while-revalidate":
      control.staleWhileRevalidateSeconds = shorter(control.staleWhileRevalidateSeconds, seconds(directive) ?? 0);
      break;
    case "stale-if-error":
      control.staleIfErrorSeconds = shorter(control.staleIfErrorSeconds, seconds(directive) ?? 0);
      break;
    case "max-stale":
      control.maxStaleSeconds = shorter(control.maxStaleSeconds, maxStale(directive));
      break;
    case "min-fresh":
      // Unreadable is the most that can be asked for: only validation will satisfy it.
      control.minFreshSeconds = Math.max(control.minFreshSeconds ?? 0, seconds(directive) ?? DELTA_SECONDS_MAX);
      break;
    case "no-store":
      control.noStore = true;
      break;
    case "no-transform":
      control.noTransform = true;
      break;
    case "only-if-cached":
      control.onlyIfCached = true;
      break;
    case "must-revalidate":
      control.mustRevalidate = true;
      break;
    case "proxy-revalidate":
      control.proxyRevalidate = true;
      break;
    case "must-understand":
      control.mustUnderstand = true;
      break;
    case "public":
      control.public ||= !directive.malformed;
      break;
    case "immutable":
      control.immutable ||= !directive.malformed;
      break;
    case "no-cache":
      if (!withhold(control, directive)) control.noCache = true;
      break;
    case "private":
      if (!withhold(control, directive)) control.private = true;
      break;
  }
}

/** RFC 9111 section 1.2.2. The quoted form is not to be sent but is understood (section 5.2). */
function seconds(directive: Directive): number | undefined {
  if (directive.malformed || directive.parameter !== undefined || directive.argument === undefined) return undefined;
  return parseDeltaSeconds(directive.argument);
}

/** Non-negative whole seconds, overflow as {@link DELTA_SECONDS_MAX}; undefined for anything but digits. */
export function parseDeltaSeconds(text: string): number | undefined {
  return /^[0-9]+$/.test(text) ? Math.min(Number(text), DELTA_SECONDS_MAX) : undefined;
}

function maxStale(directive: Directive): number {
  const bare = directive.argument === undefined && !directive.malformed && directive.parameter === undefined;
  return bare ? Number.POSITIVE_INFINITY : (seconds(directive) ?? 0);
}

function shorter(present: number | undefined, other: number): number {
  return present === undefined ? other : Math.min(present, other);
}

/**
 * What reuse itself relies on can not be left out of a stored response: a `no-cache="vary"` taken at its word would serve
 * one client's variant to another. Such a list withholds the whole response instead.
 */
const INSEPARABLE = new Set([
  "age",
  "cache-control",
  "cdn-cache-control",
  "content-encoding",
  "content-length",
  "content-location",
  "content-range",
  "content-type",
  "date",
  "etag",
  "expires",
  "last-modified",
  "location",
  "surrogate-control",
  "transfer-encoding",
  "vary",
]);

/** RFC 9111 sections 5.2.2.4, 5.2.2.7: true when only the named fields are meant. A list in doubt means the response. */
function withhold(control: Mutable, directive: Directive): boolean {
  if (directive.argument === undefined || directive.malformed || directive.parameter !== undefined) return false;
  const names = listMembers(directive.argument).map((name) => name.toLowerCase());
  if (names.length === 0 || !names.every((name) => isToken(name) && !INSEPARABLE.has(name))) return false;
  control.withheldFields = [...new Set([...control.withheldFields, ...names])];
  return true;
}
