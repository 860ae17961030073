import type { Fields } from "./fields.ts";

/**
 * The elements of a comma-separated field whose elements hold no quoted strings (Connection, Transfer-Encoding, TE):
 * trimmed, in lower case, in order. Empty elements are kept: who may not have any has to see them.
 */
export function listElements(fields: Fields, lowerName: string): string[] {
  const joined = fields.get(lowerName);
  return joined === undefined ? [] : joined.split(",").map((element) => trimWhitespace(element).toLowerCase());
}

/** Without optional whitespace at both ends (RFC 9110 section 5.6.3). Not `trim()`: vertical tab and NBSP are no whitespace here. */
function trimWhitespace(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && isWhitespace(text, from)) from++;
  while (to > from && isWhitespace(text, to - 1)) to--;
  return text.substring(from, to);
}

function isWhitespace(text: string, at: number): boolean {
  return text[at] === " " || text[at] === "\t";
}
