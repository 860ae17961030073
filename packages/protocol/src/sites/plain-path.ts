const ENCODED_UNRESERVED = /%(?:2[dDeE]|3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aAeE])/g;

/**
 * What one origin reads as a path and the next one as another: dot segments, empty segments, path parameters, and what begins a query, a
 * fragment, a segment or a further encoding once it is decoded; control bytes too.
 */
const AMBIGUOUS = /(?:^|\/)\.{1,2}(?:\/|$)|\/\/|;|\\|%(?:[01][0-9a-f]|23|25|2f|3b|3f|5c|7f)|%(?![0-9a-f]{2})/i;

/**
 * The path of a target, without query, in the one spelling that patterns are compared with: percent-encodings of unreserved characters are what they
 * stand for (RFC 3986 section 6.2.2.2).
 *
 * @returns undefined when origins differ in what it names. What an operator has said about paths must then not be guessed at: a path that only looks
 *   like a style sheet may be somebody's account (web cache deception).
 */
export function plainPath(target: string): string | undefined {
  const query = target.indexOf("?");
  const path = decodeUnreserved(query === -1 ? target : target.slice(0, query));
  return AMBIGUOUS.test(path) ? undefined : path;
}

/** Percent-encodings of unreserved characters decoded. */
export function decodeUnreserved(path: string): string {
  if (!path.includes("%")) return path;
  return path.replace(ENCODED_UNRESERVED, (encoded) => String.fromCharCode(Number.parseInt(encoded.slice(1), 16)));
}
