import type { RequestHead } from "./head.ts";
import { type Malformed, malformed } from "./malformed.ts";

/** A request target in one of its four forms (RFC 9112 section 3.2). Bytes are as sent; nothing is decoded or resolved. */
export type Target =
  /** `path` starts with `/` and includes the query. */
  | { form: "origin"; path: string }
  /** `scheme` is in lower case. `path` is the target in origin-form: never empty, `*` for OPTIONS without path and query. */
  | { form: "absolute"; scheme: "http" | "https"; authority: string; path: string }
  /** CONNECT only: `host:port`. */
  | { form: "authority"; authority: string }
  /** OPTIONS only: `*`, the server as a whole. */
  | { form: "asterisk" };

/**
 * The form of a request's target, and its parts. A form that the method does not have is refused, and so are user info
 * (RFC 9110 section 4.2.4: likely to deceive), schemes other than http and https, and an empty host.
 */
export function parseTarget(method: string, target: string): Target | Malformed {
  if (!TARGET.test(target)) return malformed("target");
  if (method === "CONNECT") {
    return isAuthority(target, "port-needed")
      ? { form: "authority", authority: target }
      : malformed("target-authority");
  }
  if (target.charCodeAt(0) === 0x2f /* / */) return { form: "origin", path: target };
  if (target === "*") return method === "OPTIONS" ? { form: "asterisk" } : malformed("target-asterisk");
  return parseAbsoluteForm(method, target);
}

/**
 * The authority that a request is for, as sent: the target's where the target has one, else the Host field's; the empty
 * string when an HTTP/1.0 request has neither.
 *
 * RFC 9112 section 3.2: no Host in HTTP/1.1, two of them, or a value that is no `uri-host [ ":" port ]` are refused even
 * if the target has an authority. Section 3.2.2: an authority in the target beats a Host that differs; the caller has to
 * replace Host by what is returned here when it forwards.
 */
export function checkHost(head: RequestHead): string | Malformed {
  const lines = head.fields.count("host");
  if (lines > 1) return malformed("host-repeated");
  if (lines === 0 && head.minorVersion === 1) return malformed("host-missing");
  const host = head.fields.get("host");
  if (host !== undefined && !isHost(host)) return malformed("host");
  if (head.target.charCodeAt(0) === 0x2f /* / */ && head.method !== "CONNECT") return host ?? "";
  const target = parseTarget(head.method, head.target);
  if ("kind" in target) return target;
  return "authority" in target ? target.authority : (host ?? "");
}

// RFC 3986 section 3.1 and appendix B, with the host not empty: RFC 9110 section 4.2.1.
const ABSOLUTE = /^(https?):\/\/([^/?]+)(.*)$/i;

function parseAbsoluteForm(method: string, target: string): Target | Malformed {
  const [, scheme, authority, rest] = ABSOLUTE.exec(target) ?? [];
  if (scheme === undefined || authority === undefined || rest === undefined) return malformed("target");
  if (!isAuthority(authority, "port-optional")) return malformed("target-authority");
  return { form: "absolute", scheme: scheme.toLowerCase() as "http" | "https", authority, path: pathOf(method, rest) };
}

/** RFC 9112 section 3.2.1: an empty path is sent as `/`; section 3.2.4: and as `*` with OPTIONS when there is no query. */
function pathOf(method: string, pathAndQuery: string): string {
  if (pathAndQuery.startsWith("/")) return pathAndQuery;
  return pathAndQuery === "" && method === "OPTIONS" ? "*" : `/${pathAndQuery}`;
}

const TARGET = /^[\x21\x22\x24-\x5b\x5d-\x7e]+$/; // visible ASCII without "#" and "\"

// RFC 3986 section 3.2.2: reg-name and IPv4 are unreserved, pct-encoded and sub-delims. The comma is left out: it is what a
// second Host field looks like once somebody has joined the two. Percent-encoding is left out: no DNS name needs it, and
// "%61" is a second spelling of one host. IPv6 in brackets, without zone; which addresses exist is the resolver's to say.
const HOST = String.raw`(?:[A-Za-z0-9\-._~!$&'()*+;=]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])`;
const WITH_PORT = new RegExp(`^${HOST}:([0-9]{1,5})$`);
const WITH_OR_WITHOUT_PORT = new RegExp(`^${HOST}(?::([0-9]{0,5}))?$`);

// What nearly every Host is: looked at in a third of the time, with a port that needs no comparison.
const ORDINARY_HOST = /^[A-Za-z0-9.-]{1,255}(?::[0-9]{1,4})?$/;

/** What was found to be a Host last: most requests to a server name the same. */
let lastHost = "localhost";

function isHost(text: string): boolean {
  if (text === lastHost) return true;
  const isOne = ORDINARY_HOST.test(text) || isAuthority(text, "port-optional");
  if (isOne) lastHost = text;
  return isOne;
}

function isAuthority(text: string, port: "port-needed" | "port-optional"): boolean {
  const match = (port === "port-needed" ? WITH_PORT : WITH_OR_WITHOUT_PORT).exec(text);
  return match !== null && Number(match[1] ?? 0) <= 65535;
}
