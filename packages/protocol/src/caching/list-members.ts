import { trimOws } from "../http1/list.ts";

/**
 * The members of a comma-separated list (RFC 9110 section 5.6.1): trimmed, empty ones left out, commas inside a
 * quoted-string kept. A quoted-string that never ends runs to the end of the value.
 *
 * @param value A field value; lines of one field are already joined with commas.
 */
export function listMembers(value: string): string[] {
  return splitAtCommas(value).filter((member) => member !== "");
}

/** {@link listMembers} with the empty ones, which mean something where a field is no list or its members have places. */
export function splitAtCommas(value: string): string[] {
  const members: string[] = [];
  let start = 0;
  let quoted = false;
  for (let at = 0; at <= value.length; at++) {
    const char = value[at];
    if (quoted) {
      if (char === "\\") at++;
      else if (char === '"') quoted = false;
      if (at < value.length) continue;
    }
    if (char === '"') quoted = true;
    else if (char === "," || at >= value.length) {
      members.push(trimOws(value.slice(start, at)));
      start = at + 1;
    }
  }
  return members;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Whether `text` is a token (RFC 9110 section 5.6.2), which is what field names, methods and directives are. */
export function isToken(text: string): boolean {
  return TOKEN.test(text);
}
