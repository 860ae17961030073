import type { Fields } from "../http1/fields.ts";
import { trimOws } from "../http1/list.ts";
import { type ByteRange, mergeRanges } from "./byte-range.ts";
import { parseEntityTag, strongMatch } from "./entity-tag.ts";
import { parseHttpDate } from "./http-date.ts";
import type { RequestMessage } from "./messages.ts";
import { strongLastModified } from "./validation.ts";

/** One member of a Range field: `first` to `last`, both included, or the last `suffix` bytes. */
export type RangeSpec =
  | { readonly first: number; readonly last: number /* Infinity: to the end */ }
  | { readonly suffix: number };

/** More ranges than this in one request are taken for an attack, and answered with the whole (RFC 9110 section 14.2). */
export const RANGES_MAX = 64;

/** What a Range field makes of a response that would be a 200 of so many bytes. */
export type RangeOutcome =
  /** No usable Range: send all of it, as a 200. */
  | { readonly kind: "whole" }
  /** A 206 with Content-Range. */
  | { readonly kind: "single"; readonly range: ByteRange }
  /** A 206 of type multipart/byteranges, the parts in this order. */
  | { readonly kind: "multiple"; readonly ranges: readonly ByteRange[] }
  /** A 416. */
  | { readonly kind: "unsatisfiable" };

const INT_RANGE = /^([0-9]+)-([0-9]*)$/;
const SUFFIX_RANGE = /^-([0-9]+)$/;

/**
 * The ranges a Range value asks for (RFC 9110 section 14.1.1), in its order; undefined when it is to be ignored: another
 * unit, malformed, a last position before the first, more than {@link RANGES_MAX}. Positions past 2^53 count as that.
 */
export function parseRange(value: string): RangeSpec[] | undefined {
  const equals = value.indexOf("=");
  if (equals === -1 || value.slice(0, equals).toLowerCase() !== "bytes") return undefined;
  const specs: RangeSpec[] = [];
  for (let start = equals + 1; start <= value.length; ) {
    const comma = value.indexOf(",", start);
    const end = comma === -1 ? value.length : comma;
    const member = trimOws(value.slice(start, end));
    start = end + 1;
    if (member === "") continue;
    const spec = specs.length < RANGES_MAX ? parseSpec(member) : undefined;
    if (spec === undefined) return undefined;
    specs.push(spec);
  }
  return specs.length === 0 ? undefined : specs;
}

function parseSpec(member: string): RangeSpec | undefined {
  const suffix = SUFFIX_RANGE.exec(member)?.[1];
  if (suffix !== undefined) return { suffix: position(suffix) };
  const [, first, last] = INT_RANGE.exec(member) ?? [];
  if (first === undefined || last === undefined) return undefined;
  const spec = { first: position(first), last: last === "" ? Number.POSITIVE_INFINITY : position(last) };
  return spec.last < spec.first ? undefined : spec;
}

function position(digits: string): number {
  return Math.min(Number(digits), Number.MAX_SAFE_INTEGER);
}

/**
 * Which bytes of a stored response to send for a request (RFC 9110 sections 14.2, 13.1.5, 15.3.7).
 *
 * Range counts for GET only, and only if If-Range, where there is one, names exactly what is stored. Ranges that overlap
 * are joined, and then sent in order of position; others are sent in the order they were asked for.
 *
 * @param stored Fields of the stored 200.
 * @param completeBytes Length of its body.
 * @param nowMs Only for two-digit years in dates.
 */
export function evaluateRange(
  request: RequestMessage,
  stored: Fields,
  completeBytes: number,
  nowMs: number,
): RangeOutcome {
  const value = request.method === "GET" ? request.fields.get("range") : undefined;
  const specs = value === undefined ? undefined : parseRange(value);
  if (specs === undefined || !isRangeApplicable(request.fields, stored, nowMs)) return { kind: "whole" };
  return resolveRanges(specs, completeBytes);
}

/** The ranges of a body of `completeBytes` that `specs` select (RFC 9110 section 14.1.2). */
export function resolveRanges(specs: readonly RangeSpec[], completeBytes: number): RangeOutcome {
  const ranges: ByteRange[] = [];
  for (const spec of specs) {
    const range = resolve(spec, completeBytes);
    if (range !== undefined) ranges.push(range);
  }
  if (ranges.length === 0) {
    // The last bytes of an empty body are satisfiable, but no Content-Range can say so.
    const asksForEmptySuffix = completeBytes === 0 && specs.some((spec) => "suffix" in spec && spec.suffix > 0);
    return asksForEmptySuffix ? { kind: "whole" } : { kind: "unsatisfiable" };
  }
  const merged = mergeRanges(ranges);
  const chosen = bytesIn(merged) < bytesIn(ranges) ? merged : ranges;
  const [only] = chosen;
  return chosen.length === 1 && only !== undefined
    ? { kind: "single", range: only }
    : { kind: "multiple", ranges: chosen };
}

function resolve(spec: RangeSpec, completeBytes: number): ByteRange | undefined {
  const start = "suffix" in spec ? Math.max(0, completeBytes - spec.suffix) : spec.first;
  const end = "suffix" in spec ? completeBytes : Math.min(spec.last + 1, completeBytes);
  return start < end ? { start, end } : undefined;
}

function bytesIn(ranges: readonly ByteRange[]): number {
  return ranges.reduce((sum, { start, end }) => sum + (end - start), 0);
}

/** RFC 9110 section 13.1.5: the strong validator of what is stored, or the Range does not count. */
function isRangeApplicable(request: Fields, stored: Fields, nowMs: number): boolean {
  const ifRange = request.get("if-range");
  if (ifRange === undefined) return true;
  const tag = parseEntityTag(ifRange);
  if (tag !== undefined) {
    const own = parseEntityTag(stored.get("etag") ?? "");
    return own !== undefined && strongMatch(tag, own);
  }
  const dateMs = parseHttpDate(ifRange, nowMs);
  return dateMs !== undefined && dateMs === strongLastModified(stored, nowMs);
}

/**
 * The fields that ask the origin for the bytes of a stored response that are missing: Range, and If-Range where it has a
 * strong validator. Without one, or where the answer's differs, a 206 must not be joined with what is stored
 * (`sameStrongValidator`); a 200 replaces it.
 *
 * @param completeBytes Length of the whole, undefined when unknown.
 */
export function completionFields(
  stored: Fields,
  missing: ByteRange,
  completeBytes: number | undefined,
  nowMs: number,
): [string, string][] {
  const isTail = completeBytes === undefined || missing.end >= completeBytes;
  const pairs: [string, string][] = [["Range", `bytes=${missing.start}-${isTail ? "" : missing.end - 1}`]];
  const etag = stored.get("etag");
  const tag = etag === undefined ? undefined : parseEntityTag(etag);
  if (etag !== undefined) {
    if (tag !== undefined && !tag.weak) pairs.push(["If-Range", etag]);
  } else if (strongLastModified(stored, nowMs) !== undefined) {
    pairs.push(["If-Range", stored.get("last-modified") ?? ""]);
  }
  return pairs;
}
