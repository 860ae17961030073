/**
 * A resource as the cache knows it. `key` is made of the very strings that are forwarded, so that two requests which the
 * origin could tell apart never share a key.
 */
export interface CacheTarget {
  readonly scheme: "http" | "https";
  /** Host in lower case, without the scheme's default port. */
  readonly authority: string;
  /** The target in origin-form, octet for octet as it is forwarded. */
  readonly path: string;
  /** The cache key: scheme, authority and path as one URI. */
  readonly key: string;
}

const DEFAULT_PORT = { http: "80", https: "443" } as const;

/** Host, or bracketed IPv6 address, and port, as `checkHost` lets them through: nothing a key could be confused by. */
const AUTHORITY = /^([A-Za-z0-9\-._~!$&'()*+;=]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]*))?$/;

/** Origin-form as `parseTarget` lets it through: visible ASCII without fragment and backslash. */
const PATH = /^\/[\x21\x22\x24-\x5b\x5d-\x7e]*$/;

/**
 * The cache key of a request and what to forward for it, from the same bytes.
 *
 * Only what RFC 9110 section 4.2.3 declares equal for every origin is made equal: the host's case and the default port.
 * `/a/../b`, `//`, `%7e` and `%2F` are the origin's to interpret; a dot at the end of the host is another host.
 *
 * @param path Origin-form of the target, with its query.
 * @returns undefined when authority or path are empty or hold what neither may; the request parser refuses such, but for
 *   the empty authority of HTTP/1.0, for which the caller has to put its own.
 */
export function cacheTarget(scheme: "http" | "https", authority: string, path: string): CacheTarget | undefined {
  const [, host, portText = ""] = AUTHORITY.exec(authority) ?? [];
  if (host === undefined || !PATH.test(path)) return undefined;
  const port = portText.replace(/^0+(?=[0-9])/, "");
  const isDefaultPort = port === "" || port === DEFAULT_PORT[scheme];
  const normalized = host.toLowerCase() + (isDefaultPort ? "" : `:${port}`);
  return { scheme, authority: normalized, path, key: `${scheme}://${normalized}${path}` };
}
