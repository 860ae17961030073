import type { Fields } from "../http1/fields.ts";
import { trimOws } from "../http1/list.ts";
import { listMembers } from "./list-members.ts";

/** Values as long as browsers send, and no more of them than there are browsers. */
const REMEMBERED_CHARS_MAX = 256;
const REMEMBERED_MAX = 256;

/**
 * The same function, that does not compute again what it was lately asked: clients send few different values, often. Of longer ones the last: a request's
 * is held against all that is stored under its key, and one of 60 KB takes up to 100 ms to read.
 */
function remembered<T>(compute: (value: string) => T): (value: string) => T {
  const known = new Map<string, T>();
  let last: { readonly value: string; readonly computed: T } | undefined;
  return (value) => {
    if (value.length > REMEMBERED_CHARS_MAX) {
      if (last?.value !== value) last = { value, computed: compute(value) };
      return last.computed;
    }
    const found = known.get(value);
    if (found !== undefined) return found;
    const computed = compute(value);
    if (known.size >= REMEMBERED_MAX) known.clear();
    known.set(value, computed);
    return computed;
  };
}

/** A member of an Accept-like field: what is acceptable, in lower case, and its weight in thousandths (0..1000). */
export interface Preference {
  readonly value: string;
  readonly weight: number;
}

/** RFC 9110 section 12.4.2. */
const WEIGHT = /^[qQ][ \t]*=[ \t]*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)$/;

/**
 * The members of Accept-Encoding or Accept-Language, most wanted first, equally wanted ones by name; one that is named
 * twice counts as its lowest weight. Undefined when a member can not be read: then the field means only itself.
 */
export const parsePreferences = remembered((value): readonly Preference[] | undefined => {
  const weights = new Map<string, number>();
  for (const member of listMembers(value)) {
    const [name = "", weightText, ...others] = member.split(";").map(trimOws);
    if (others.length > 0 || !/^[0-9A-Za-z*\-._]+$/.test(name)) return undefined;
    const weight = weightText === undefined ? 1000 : parseWeight(weightText);
    if (weight === undefined) return undefined;
    const lowerName = name.toLowerCase();
    weights.set(lowerName, Math.min(weight, weights.get(lowerName) ?? 1000));
  }
  const preferences = Array.from(weights, ([name, weight]) => ({ value: name, weight }));
  return preferences.sort((a, b) => b.weight - a.weight || (a.value < b.value ? -1 : 1));
});

function parseWeight(parameter: string): number | undefined {
  const match = WEIGHT.exec(parameter);
  return match?.[1] === undefined ? undefined : Math.round(Number(match[1]) * 1000);
}

/** Codings that this cache knows by name, and so knows a client may be unable to read. */
const CODINGS = new Set(["gzip", "deflate", "br", "zstd", "compress"]);

function canonicalCoding(name: string): string {
  return name.startsWith("x-") ? name.slice(2) : name; // RFC 9110 sections 8.4.1.1, 8.4.1.3: x-gzip is gzip.
}

/** Accept-Encoding reduced to what it means: order, case, spacing and what is refused anyway make no difference. */
export const normalizeAcceptEncoding = remembered((value): string | undefined => {
  const preferences = parsePreferences(value)?.map((p) => ({ ...p, value: canonicalCoding(p.value) }));
  if (preferences === undefined) return undefined;
  const refusalCounts = preferences.some(({ value: name }) => name === "*");
  const meant = preferences.filter((p) => p.weight > 0 || refusalCounts || p.value === "identity");
  // Empty and "identity" both say: as it is (RFC 9110 section 12.5.3).
  return meant.length === 0 ? "identity;1000" : renderPreferences(meant);
});

/** Accept-Language reduced to what it means: equally wanted languages in any order. */
export const normalizeAcceptLanguage = remembered((value): string | undefined => {
  const preferences = parsePreferences(value);
  return preferences === undefined ? undefined : renderPreferences(preferences);
});

function renderPreferences(preferences: readonly Preference[]): string {
  const rendered = preferences.map(({ value, weight }) => `${value};${weight}`);
  return [...new Set(rendered)].sort().join(",");
}

/**
 * Whether a stored response's content coding may be sent to this client (RFC 9110 section 12.5.3), whatever the origin
 * says in Vary: a gzip body is of no use to one who asked for identity. No Accept-Encoding at all accepts everything.
 * Codings unknown here are taken for the origin's business.
 */
export function acceptsCoding(request: Fields, stored: Fields): boolean {
  const contentEncoding = stored.get("content-encoding");
  const accepted = contentEncoding === undefined ? undefined : request.get("accept-encoding");
  if (contentEncoding === undefined || accepted === undefined) return true;
  const preferences = parsePreferences(accepted) ?? [];
  return listMembers(contentEncoding.toLowerCase())
    .map(canonicalCoding)
    .every((coding) => !CODINGS.has(coding) || weightOf(coding, preferences) > 0);
}

function weightOf(coding: string, preferences: readonly Preference[]): number {
  const named = preferences.find(({ value }) => canonicalCoding(value) === coding);
  return (named ?? preferences.find(({ value }) => value === "*"))?.weight ?? 0;
}

/**
 * Whether a response in this one language is what the client wants most (RFC 9110 section 12.5.4), so that no other
 * variant could suit it better. Only an exact, explicitly named match counts.
 */
export function prefersLanguage(request: Pick<Fields, "get">, contentLanguage: string): boolean {
  const accepted = request.get("accept-language");
  const preferences = accepted === undefined ? undefined : parsePreferences(accepted);
  const best = preferences?.[0]?.weight ?? 0;
  const language = contentLanguage.toLowerCase();
  return preferences?.some(({ value, weight }) => weight > 0 && weight === best && value === language) ?? false;
}
