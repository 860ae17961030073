import type * as v from "valibot";
import { nearest } from "./did-you-mean.ts";
import { KeyEntries, RuleEntries, SiteEntries } from "./site-config.ts";

type Issue = v.BaseIssue<unknown>;
type PathKey = string | number;

/** So much of a value is shown. */
const SHOWN_MAX = 80;

/**
 * A line for each mistake that the schema has found: what was given, where, why that can not be used, and what to give.
 *
 * @param whereIs How the option of this name is called where its value stands; gives a name for a path within it.
 * @param given What the schema was asked about.
 * @param options The entries of the outermost object.
 */
export function mistakesOf(
  issues: readonly Issue[],
  whereIs: (name: string) => (path: string) => string,
  given: object,
  options: object,
): string[] {
  const lines = issues.map((issue) => {
    const keys = (issue.path ?? []).map(({ key }) => key as PathKey);
    const shownAt = whereIs(String(keys[0] ?? ""))(pathText(keys));
    if (isUnknownName(issue))
      return `Cannot use ${shownAt}: ${unknownName(String(keys.at(-1)), keys.slice(0, -1), options)}`;
    if (isMissing(issue)) return `Cannot do without ${shownAt}: it has to be given`;
    const value = valueAt(keys, given);
    if (value === undefined) return `Cannot do without ${shownAt}: ${issue.message}`;
    return `Cannot use ${shown(value)} for ${shownAt}: ${issue.message}`;
  });
  return [...new Set(lines)];
}

/** `sites[0].rules[2].ttl`. */
function pathText(keys: readonly PathKey[]): string {
  return keys.map((key, index) => (typeof key === "number" ? `[${key}]` : `${index === 0 ? "" : "."}${key}`)).join("");
}

function isUnknownName({ type, expected }: Issue): boolean {
  return type === "strict_object" && expected === "never";
}

function isMissing({ type, input, received, path }: Issue): boolean {
  return type === "strict_object" && input === undefined && received === "undefined" && path !== undefined;
}

function unknownName(name: string, within: readonly PathKey[], options: object): string {
  const known = Object.keys(entriesAt(within, options));
  const meant = nearest(name, known);
  if (meant !== undefined) return `there is no such option; did you mean ${meant}?`;
  return `there is no such option; there are ${known.join(", ")}`;
}

/** As it was given, and not what has been made of it before a check refused that. */
function valueAt(keys: readonly PathKey[], given: unknown): unknown {
  return keys.reduce((value, key) => (value as Record<PathKey, unknown> | undefined)?.[key], given);
}

/** What may stand in the object at this path. */
function entriesAt(keys: readonly PathKey[], options: object): object {
  const last = keys.filter((key) => typeof key === "string").at(-1);
  if (last === undefined) return options;
  return { sites: SiteEntries, rules: RuleEntries, key: KeyEntries }[last] ?? {};
}

function shown(value: unknown): string {
  const text = withoutCredentials(JSON.stringify(value) ?? String(value));
  return text.length <= SHOWN_MAX ? text : `${text.slice(0, SHOWN_MAX)}...`;
}

/** `redis://user:secret@host` with `***` in place of all before the last `@`: mistakes end up in logs. */
export function withoutCredentials(text: string): string {
  return text.replace(/(:\/\/).*@/gs, "$1***@");
}
