import type { Fields } from "./fields.ts";

/**
 * The elements of a comma-separated field whose elements hold no quoted strings (Connection, Transfer-Encoding, TE):
 * trimmed, in lower case, in order. Empty elements are kept: who may not have any has to see them.
 */
export function listElements(fields: Fields, lowerName: string): string[] {
  const joined = fields.get(lowerName);
  return joined === undefined ? [] : joined.split(",").map((element) => trimOws(element).toLowerCase());
}

/** `text` without the spaces and tabs around it (OWS, RFC 9110 section 5.6.3). `trim()` takes more: NBSP, which is the last octet of an "à" in UTF-8. */
export function trimOws(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && isOws(text, from)) from++;
  while (to > from && isOws(text, to - 1)) to--;
  return text.substring(from, to);
}

function isOws(text: string, at: number): boolean {
  return text[at] === " " || text[at] === "\t";
}
