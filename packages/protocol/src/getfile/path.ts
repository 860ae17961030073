/**
 * Where a GETFILE path leads: an origin-form target under the prefix, or the status and the reason it is refused
 * with.
 */
export type GetfileTarget =
  | { kind: "target"; target: string }
  | { kind: "refused"; status: "FILE_NOT_FOUND"; reason: "leaves-prefix" | "names-a-host" | "encoded-too-deeply" }
  | { kind: "refused"; status: "INVALID"; reason: "broken-percent-encoding" | "encoded-control-byte" };

// What an origin might still decode behind one that already did. Deeper nesting hides something and names no file.
const DECODINGS_MAX = 4;
// A dot segment between separators of either kind. Tomcat and its kin cut ";" off a segment before they compare.
const PARENT_SEGMENT = /(?:^|[/\\])\.\.(?:[/\\;?#]|$)/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control octets are what this must find
const CONTROL_BYTE = /[\x00-\x1f\x7f]/;
const BROKEN_ENCODING = /%(?![0-9a-fA-F]{2})/;
const ENCODED_BYTE = /%([0-9a-fA-F]{2})/g;
// Everything that RFC 3986 section 3.3 and 3.4 do not allow in a path or query as it stands: "#", "\", octets beyond
// ASCII ...
const NOT_IN_TARGET = /[^A-Za-z0-9\-._~!$&'()*+,;=:@/?%]/g;

/**
 * The origin-form target that `path` of a GETFILE request names under the origin's path prefix. It can not leave the
 * prefix.
 *
 * A well-formed path that names nothing under the prefix is `FILE_NOT_FOUND`: a `..` segment anywhere, also one that
 * would stay inside, whether its dots and separators (`/` or `\`) are plain or percent-encoded once or several times
 * over; a path that begins like `//host`; an encoding nested deeper than anything decodes. A path that is no path is
 * `INVALID`: a `%` without two hexadecimal digits, an encoded NUL or control byte. (No leading `/`, as in an absolute
 * URL, never gets past the parser.)
 *
 * What is let through keeps its octets, so that one path is one target: percent-encodings stay as sent, `//` and
 * `/./` stay, and `?` begins a query as in every HTTP target. Octets that a target may not hold (`#`, `\`, non-ASCII)
 * are percent-encoded.
 *
 * @param prefix The path of `--origin`, with or without a trailing `/`, such as `/` or `/files/v1`; percent-encoded
 *   already.
 * @param path As the request parser gives it: starts with `/`, one character for each octet, no space and no
 *   control byte.
 */
export function getfileTarget(prefix: string, path: string): GetfileTarget {
  const query = path.indexOf("?");
  const refusal = refuse(query === -1 ? path : path.slice(0, query));
  if (refusal !== undefined) return refusal;
  const base = prefix.endsWith("/") ? prefix.slice(0, -1) : prefix;
  return { kind: "target", target: base + path.replace(NOT_IN_TARGET, percentEncode) };
}

function refuse(path: string): Extract<GetfileTarget, { kind: "refused" }> | undefined {
  if (BROKEN_ENCODING.test(path)) return { kind: "refused", status: "INVALID", reason: "broken-percent-encoding" };
  let decoded = path;
  for (let decodings = 0; decodings <= DECODINGS_MAX; decodings++) {
    if (CONTROL_BYTE.test(decoded)) return { kind: "refused", status: "INVALID", reason: "encoded-control-byte" };
    if (PARENT_SEGMENT.test(decoded)) return { kind: "refused", status: "FILE_NOT_FOUND", reason: "leaves-prefix" };
    if (/^[/\\]{2}/.test(decoded)) return { kind: "refused", status: "FILE_NOT_FOUND", reason: "names-a-host" };
    const next = decoded.replace(ENCODED_BYTE, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
    if (next === decoded) return undefined;
    decoded = next;
  }
  return { kind: "refused", status: "FILE_NOT_FOUND", reason: "encoded-too-deeply" };
}

function percentEncode(octet: string): string {
  return `%${octet.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
}
