import { isInnerList, type List, parseList } from "structured-headers";
import type { Fields } from "../http1/fields.ts";
import { ofSameFields } from "../http1/of-same-fields.ts";
import { listMembers } from "./list-members.ts";

/** More tags than this on one response, or longer ones (in chars), are left out: an index must not be an origin's to fill. */
export const TAGS_MAX = 256;
const TAG_CHARS_MAX = 1024;

/**
 * The tags by which a stored response can be purged, once each: Surrogate-Key (separated by spaces), Cache-Tag (by
 * commas), and its {@link cacheGroups}.
 */
export const cacheTags = ofSameFields((response): readonly string[] => {
  const keys = response.all("surrogate-key").flatMap((line) => line.split(/[ \t]+/));
  const tags = response.all("cache-tag").flatMap(listMembers);
  return limited([...keys, ...tags, ...cacheGroups(response)]);
});

/** The groups a stored response belongs to (RFC 9875 section 2); of one origin, and case-sensitive. */
export function cacheGroups(response: Fields): string[] {
  return stringList(response, "cache-groups");
}

/**
 * The groups, of the target's own origin, that the response to an unsafe method invalidates (RFC 9875 section 3); look at
 * it only where `invalidatedTargets` names something.
 */
export function invalidatedGroups(response: Fields): string[] {
  return stringList(response, "cache-group-invalidation");
}

/** A List of Strings; what is none, also for a single member of another type, is ignored as a whole. */
function stringList(fields: Fields, name: string): string[] {
  const value = fields.get(name);
  if (value === undefined) return [];
  let list: List;
  try {
    list = parseList(value);
  } catch {
    return []; // The parser's way to say that it is no structured field.
  }
  const strings: string[] = [];
  for (const member of list) {
    if (isInnerList(member) || typeof member[0] !== "string") return [];
    strings.push(member[0]);
  }
  return limited(strings);
}

function limited(tags: readonly string[]): string[] {
  const usable = tags.filter((tag) => tag !== "" && tag.length <= TAG_CHARS_MAX);
  return [...new Set(usable)].slice(0, TAGS_MAX);
}
