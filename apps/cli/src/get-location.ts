import { isIPv6 } from "node:net";
import { usageError } from "./command-error.ts";

/** Which file to ask whom for. */
export interface GetLocation {
  host: string;
  port: number;
  /** As it goes out: starts with `/`, percent-encoded where GETFILE has no place for a character. */
  path: string;
}

const GETFILE_URL = /^getfile:\/\/(?:\[([0-9a-f:.]+)\]|([^:/[\]@\s]+))(?::(\d{1,5}))?(\/.*)?$/i;
/** What a GETFILE path can not hold: a blank, control characters, and whatever is no octet of ASCII. */
const NOT_IN_PATH = /[^\x21-\x7e]/gu;

/**
 * What PATH of `webproxy get` names: `getfile://HOST:PORT/path`, or a path at the host and port of the options. The leading slash
 * may be left out.
 *
 * @throws {CommandError} Exit code 2: it begins like a URL and is none that GETFILE knows.
 */
export function getLocation(text: string, defaults: { host: string; port: number }): GetLocation {
  const match = GETFILE_URL.exec(text);
  const host = match?.[1] ?? match?.[2];
  if (match !== null && host !== undefined) {
    const port = match[3] === undefined ? defaults.port : Number(match[3]);
    if (port >= 1 && port <= 65_535 && (match[1] === undefined || isIPv6(host)))
      return { host, port, path: encoded(match[4] ?? "/") };
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) {
    throw usageError(
      `Cannot get ${JSON.stringify(text)}: it is no URL such as getfile://127.0.0.1:19121/path; give one, or a path alone`,
    );
  }
  return { ...defaults, path: encoded(text.startsWith("/") ? text : `/${text}`) };
}

function encoded(path: string): string {
  return path.replace(NOT_IN_PATH, (character) => encodeURIComponent(character.toWellFormed()));
}
