import type { Fields } from "../http1/fields.ts";
import { trimOws } from "../http1/list.ts";
import { isToken, listMembers, splitAtCommas } from "./list-members.ts";
import { normalizeAcceptEncoding, normalizeAcceptLanguage, prefersLanguage } from "./negotiation.ts";

/** A request, as far as responses to it may vary: what it says in a field, by the name in lower case. */
export type Selecting = Pick<Fields, "get">;

const NO_NAMES: readonly string[] = [];

/**
 * The fields of the request that a response depends on (RFC 9111 section 4.1): in lower case, sorted, once each; `"*"`
 * when it can never be matched, also when a member is no field name.
 */
export function varyNames(response: Fields): readonly string[] | "*" {
  const value = response.get("vary");
  if (value === undefined) return NO_NAMES;
  const names = new Set<string>();
  for (const member of listMembers(value)) {
    if (member === "*" || !isToken(member)) return "*";
    names.add(member.toLowerCase());
  }
  return [...names].sort();
}

/**
 * What a request says in the named fields, as one string: two requests match when theirs are equal.
 *
 * A field's lines are joined, whitespace around list commas is dropped; absent differs from empty. Accept-Encoding and
 * Accept-Language compare by meaning; fields that are no lists keep their inside as it is.
 *
 * @param names As {@link varyNames} gives them.
 */
export function varyKey(names: readonly string[], request: Selecting): string {
  let key = "";
  for (const name of names) {
    const value = request.get(name);
    // A field value holds no line feed and no NUL, so no value can pass for two, nor for an absent one.
    key += value === undefined ? `${name}\0\n` : `${name}:${normalizeSelecting(name, value)}\n`;
  }
  return key;
}

/** Fields whose commas separate nothing, or whose spaces mean something. */
const NO_LISTS = new Set(["authorization", "cookie", "from", "origin", "referer", "user-agent"]);

function normalizeSelecting(name: string, value: string): string {
  if (name === "accept-encoding") return normalizeAcceptEncoding(value) ?? normalizeList(value);
  if (name === "accept-language") return normalizeAcceptLanguage(value) ?? normalizeList(value);
  return NO_LISTS.has(name) ? trimOws(value) : normalizeList(value);
}

/**
 * Whitespace around commas goes, of whichever field. Empty members stay: only of what is known to be a list are they nothing (RFC 9110 section 5.6.1), and
 * `,7` in a field of somebody's own may be another place than `7`.
 */
function normalizeList(value: string): string {
  return splitAtCommas(value).join(",");
}

/** What is kept of a stored response to match later requests with it. */
export interface Variant {
  /** Never `"*"`: such a response is not stored. */
  readonly varyNames: readonly string[];
  /** {@link varyKey} of the request it answered. */
  readonly varyKey: string;
  /** The names but Accept-Language and their key; undefined unless the response varies on it and says its language. */
  readonly byLanguage:
    | { readonly names: readonly string[]; readonly key: string; readonly language: string }
    | undefined;
}

/** The variant of a response that depends on nothing: one object for all of them. */
export const ANY_REQUEST: Variant = Object.freeze({ varyNames: NO_NAMES, varyKey: "", byLanguage: undefined });

/**
 * The {@link Variant} of a response to `request`; undefined when Vary says that nothing will ever match it.
 *
 * @param ruled Names, in lower case, that an operator has added to what Vary says.
 */
export function variantOf(request: Selecting, response: Fields, ruled: readonly string[] = []): Variant | undefined {
  const own = varyNames(response);
  if (own === "*") return undefined;
  if (own.length + ruled.length === 0) return ANY_REQUEST;
  const names = ruled.length === 0 ? own : [...new Set([...own, ...ruled])].sort();
  return { varyNames: names, varyKey: varyKey(names, request), byLanguage: byLanguage(names, request, response) };
}

function byLanguage(names: readonly string[], request: Selecting, response: Fields): Variant["byLanguage"] {
  const language = response.get("content-language");
  if (language === undefined || !names.includes("accept-language") || !/^[0-9A-Za-z-]+$/.test(language))
    return undefined;
  const others = names.filter((name) => name !== "accept-language");
  return { names: others, key: varyKey(others, request), language };
}

/** Whether a stored variant answers a request that says the same in every field it varies on (RFC 9111 section 4.1). */
export function matchesExactly(variant: Variant, request: Selecting): boolean {
  return varyKey(variant.varyNames, request) === variant.varyKey;
}

/**
 * {@link varyKey} of one request, computed once for the same names: variants that differ in nothing but what was said are as many as clients
 * like, and a field of 60 KB takes up to 100 ms to read.
 */
function keysOf(request: Selecting): (names: readonly string[]) => string {
  const known = new Map<string, string>();
  return (names) => {
    const all = names.join();
    let key = known.get(all);
    if (key === undefined) {
      key = varyKey(names, request);
      known.set(all, key);
    }
    return key;
  };
}

/**
 * Those of the stored variants that answer a request: all that match exactly, else all in the language it prefers. Of
 * several, which vary on different fields, `mostRecent` is to be used (RFC 9111 section 4).
 */
export function matchingVariants<Stored extends { readonly variant: Variant }>(
  stored: readonly Stored[],
  request: Selecting,
): readonly Stored[] {
  const keyOf = keysOf(request);
  const exact = stored.filter(({ variant }) => keyOf(variant.varyNames) === variant.varyKey);
  if (exact.length > 0) return exact;
  return stored.filter(({ variant: { byLanguage } }) => {
    // In the very language that it prefers, and it matches in all else.
    if (byLanguage === undefined || !prefersLanguage(request, byLanguage.language)) return false;
    return keyOf(byLanguage.names) === byLanguage.key;
  });
}
