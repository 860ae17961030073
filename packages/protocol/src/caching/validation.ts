import type { Fields } from "../http1/fields.ts";
import { type EntityTag, parseEntityTag, strongMatch, weakMatch } from "./entity-tag.ts";
import { formatHttpDate, parseHttpDate } from "./http-date.ts";

/** Fields that make a request conditional (RFC 9110 section 13.1); ours replace the client's when we validate. */
export const CONDITIONAL_FIELD_NAMES: readonly string[] = [
  "if-match",
  "if-none-match",
  "if-modified-since",
  "if-unmodified-since",
  "if-range",
];

/**
 * The fields that turn a request into one that validates what is stored (RFC 9111 section 4.3.1); empty when nothing
 * stored has a validator, so that only the whole response will do.
 *
 * @param selected The stored response that the request matches; undefined when only other variants are stored.
 * @param others Further stored responses for the URI: a 304 may choose one of them.
 */
export function conditionalFields(selected: Fields | undefined, others: readonly Fields[] = []): [string, string][] {
  const pairs: [string, string][] = [];
  const tags = new Set<string>();
  for (const stored of selected === undefined ? others : [selected, ...others]) {
    const value = stored.get("etag");
    if (value !== undefined && isSendable(value)) tags.add(value);
  }
  if (tags.size > 0) pairs.push(["If-None-Match", [...tags].join(", ")]);
  // One date can not stand for several responses: only for the one that would be sent.
  const lastModified = selected?.count("last-modified") === 1 ? selected.get("last-modified") : undefined;
  if (lastModified !== undefined) pairs.push(["If-Modified-Since", lastModified]);
  return pairs;
}

/** Some origins leave the quotes out, and know only what they sent; but `*` would match anything, and a comma is two. */
const UNQUOTED_TAG = /^[\x21\x23-\x29\x2b\x2d-\x7e]+$/;

function isSendable(etag: string): boolean {
  return parseEntityTag(etag) !== undefined || UNQUOTED_TAG.test(etag);
}

/**
 * Which of the stored responses for a URI a 304 speaks of (RFC 9111 section 4.3.4): indexes into `stored`, most recent
 * last, and empty when it freshens nothing. Then the request has to be repeated without conditions.
 */
export function selectFreshened(stored: readonly Fields[], notModified: Fields): number[] {
  const tag = entityTagOf(notModified);
  if (tag !== undefined && !tag.weak) {
    return indexesOf(stored, (fields) => isMatch(entityTagOf(fields), tag, strongMatch));
  }
  if (tag !== undefined) {
    // A weak validator: the most recent of those that match.
    return indexesOf(stored, (fields) => isMatch(entityTagOf(fields), tag, weakMatch)).slice(-1);
  }
  const malformedTag = notModified.get("etag");
  if (malformedTag !== undefined) {
    return indexesOf(stored, (fields) => fields.get("etag") === malformedTag).slice(-1);
  }
  const lastModified = notModified.get("last-modified");
  if (lastModified !== undefined) {
    return indexesOf(stored, (fields) => fields.get("last-modified") === lastModified).slice(-1);
  }
  // No validator in it: only to be believed where there is nothing to be confused with.
  return stored.length === 1 ? [0] : [];
}

function indexesOf(stored: readonly Fields[], isChosen: (fields: Fields) => boolean): number[] {
  return stored.flatMap((fields, index) => (isChosen(fields) ? [index] : []));
}

function isMatch(a: EntityTag | undefined, b: EntityTag, match: (a: EntityTag, b: EntityTag) => boolean): boolean {
  return a !== undefined && match(a, b);
}

function entityTagOf(fields: Fields): EntityTag | undefined {
  const value = fields.get("etag");
  return value === undefined ? undefined : parseEntityTag(value);
}

/**
 * Fields of a stored response that describe its stored bytes, which a 304 or a HEAD does not change (RFC 9111 section
 * 3.2): length and part, the coding that the body is in, digests of it, the validator it was chosen by.
 */
const BOUND_TO_BODY = new Set([
  "content-length",
  "content-range",
  "content-encoding",
  "content-md5",
  "content-digest",
  "repr-digest",
  "digest",
  "etag",
]);

/**
 * The fields of a stored response after a 304, or a HEAD, that freshens it (RFC 9111 section 3.2): each field of the
 * newer one replaces the stored lines of that name. A stored Age goes, and so does a stored Date that is not replaced:
 * from now on its age is counted from the newer response.
 *
 * @param newer Fields of the 304 as `endToEndFields` and `fieldsToStore` leave them, dated by {@link withDate}.
 */
export function updateStored(stored: Fields, newer: Fields): Fields {
  const replaced = newer.filter((lowerName) => !BOUND_TO_BODY.has(lowerName));
  const updated = stored.filter((lowerName) => lowerName !== "age" && lowerName !== "date" && !replaced.has(lowerName));
  for (const [name, value] of replaced) updated.add(name, value);
  return updated;
}

/** The fields with a Date: a recipient with a clock adds the one that is missing (RFC 9110 section 6.6.1). */
export function withDate(fields: Fields, responseTimeMs: number): Fields {
  if (fields.has("date")) return fields;
  const dated = fields.filter(() => true);
  dated.add("Date", formatHttpDate(responseTimeMs));
  return dated;
}

/**
 * What a 200 to HEAD says of a stored response to GET (RFC 9111 section 4.3.5): "freshen" it by {@link updateStored} when
 * validators and length agree, else "invalidate" it.
 *
 * @param storedBodyBytes Length of the stored body, whole; undefined when only parts are stored.
 */
export function headEffect(
  stored: Fields,
  head: Fields,
  storedBodyBytes: number | undefined,
): "freshen" | "invalidate" {
  const agrees = (name: string) => !head.has(name) || head.get(name) === stored.get(name);
  const length = head.get("content-length");
  const sameLength = length === undefined || storedBodyBytes === undefined || length === String(storedBodyBytes);
  return agrees("etag") && agrees("last-modified") && sameLength ? "freshen" : "invalidate";
}

/**
 * Whether two responses are octet for octet the same representation: both with the same strong entity tag, or both
 * without one and with the same Last-Modified that is strong (RFC 9110 sections 8.8.1, 8.8.2.2). Only such parts are joined
 * (RFC 9111 section 3.4).
 */
export function sameStrongValidator(a: Fields, b: Fields, nowMs: number): boolean {
  if (a.has("etag") || b.has("etag")) {
    const tagA = entityTagOf(a);
    const tagB = entityTagOf(b);
    return tagA !== undefined && tagB !== undefined && strongMatch(tagA, tagB);
  }
  const lastModified = strongLastModified(a, nowMs);
  return lastModified !== undefined && lastModified === strongLastModified(b, nowMs);
}

/**
 * The Last-Modified of a response where it is a strong validator: at least one second before its Date, so that no second
 * change can hide in the same second (RFC 9110 section 8.8.2.2). In milliseconds.
 */
export function strongLastModified(fields: Fields, nowMs: number): number | undefined {
  const lastModified = fields.get("last-modified");
  const date = fields.get("date");
  if (lastModified === undefined || date === undefined) return undefined;
  const lastModifiedMs = parseHttpDate(lastModified, nowMs);
  const dateMs = parseHttpDate(date, nowMs);
  if (lastModifiedMs === undefined || dateMs === undefined) return undefined;
  return dateMs - lastModifiedMs >= 1000 ? lastModifiedMs : undefined;
}
