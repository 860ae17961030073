import { Fields } from "./fields.ts";
import { knownName } from "./known-names.ts";
import { type Malformed, malformed } from "./malformed.ts";
import { COLON, CR, FIELD_OCTET, HTAB, LF, SP, TCHAR } from "./octets.ts";

/**
 * The field lines in `bytes[from..end)`, which ends with the empty line: `*( field-line CRLF ) CRLF`, RFC 9112 section 5.
 *
 * @param text The octets from `base` on as a string, of which the names and values are cut.
 * @param fieldsMax How many lines are taken; one more is refused with 431.
 */
export function parseFieldLines(
  bytes: Uint8Array,
  text: string,
  base: number,
  from: number,
  end: number,
  fieldsMax: number,
): Fields | Malformed {
  const names: string[] = [];
  const values: string[] = [];
  const lowers: (string | undefined)[] = [];
  let at = from;
  while (bytes[at] !== CR || bytes[at + 1] !== LF) {
    if (names.length === fieldsMax) return malformed("too-many-fields", 431);
    const nameStart = at;
    while (TCHAR[bytes[at]!] === 1) at++;
    if (bytes[at] !== COLON || at === nameStart) return malformed(nameRefusal(bytes, nameStart, at));
    const nameEnd = at++;

    while (bytes[at] === SP || bytes[at] === HTAB) at++;
    const valueStart = at;
    while (FIELD_OCTET[bytes[at]!] === 1) at++;
    if (bytes[at] !== CR || bytes[at + 1] !== LF) return malformed(valueRefusal(bytes[at]!));
    let valueEnd = at;
    while (valueEnd > valueStart && (bytes[valueEnd - 1] === SP || bytes[valueEnd - 1] === HTAB)) valueEnd--;

    const known = knownName(bytes, nameStart, nameEnd);
    const name = known === undefined ? text.substring(nameStart - base, nameEnd - base) : known.name;
    if (valueEnd < at && isMisread(name, bytes, valueEnd, at)) return malformed("framing-field-tab");
    names.push(name);
    lowers.push(known?.lowerName);
    values.push(text.substring(valueStart - base, valueEnd - base));
    at += 2;
  }
  return at + 2 === end ? new Fields(names, values, lowers) : malformed("empty-line");
}

/**
 * Whether the whitespace after the value of a framing field holds a tab. RFC 9110 section 5.6.3 allows it, nobody sends
 * it, and readers disagree: llhttp does not know `chunked` HTAB for chunked and reads a response on until the close.
 */
function isMisread(name: string, bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (bytes[at] === HTAB) return FRAMING_FIELD.test(name);
  return false;
}

const FRAMING_FIELD = /^(?:content-length|transfer-encoding)$/i;

/** Why the name that starts at `start` and stops being a token at `at` is not one. */
function nameRefusal(bytes: Uint8Array, start: number, at: number): string {
  const octet = bytes[at];
  const isSpace = octet === SP || octet === HTAB;
  // RFC 9112 section 5.2: a line that starts with whitespace continues the one before. Deprecated since 2014.
  if (isSpace && at === start) return "obs-fold";
  // RFC 9112 section 5.1: "No whitespace is allowed between the field name and colon", a known way to smuggle.
  if (isSpace) return "field-name-space";
  if (octet === COLON) return "field-name-empty";
  if (octet === LF) return "bare-lf";
  if (octet === CR) return bytes[at + 1] === LF ? "field-line" : "bare-cr";
  return octet === 0 ? "nul" : "field-name";
}

function valueRefusal(octet: number): string {
  if (octet === LF) return "bare-lf";
  if (octet === CR) return "bare-cr";
  return octet === 0 ? "nul" : "field-value";
}
