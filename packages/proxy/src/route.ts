import {
  checkHost,
  type Framing,
  listElements,
  type Malformed,
  malformed,
  parseTarget,
  type RequestHead,
  requestFraming,
  type Site,
  type SiteTable,
} from "@proj/protocol";

/** What is to be done with a request, as far as its head says. */
export type Route<One extends Site> =
  /** It can be read in two ways, or in none: refused, and the connection closes. */
  | { kind: "malformed"; fault: Malformed }
  /** Answered here. */
  | { kind: "answer"; status: number; text: string }
  /** TRACE that may go no further: its head comes back (RFC 9110 section 9.3.8). */
  | { kind: "echo" }
  /** OPTIONS that may go no further. */
  | { kind: "options" }
  /** GET or HEAD without content: the cache's. `keyTarget`: what of the target is in the key. */
  | { kind: "cache"; site: One; target: string; keyTarget: string; authority: string; counted: CountedFields }
  | (PassRoute & { site: One });

/** Caching has no part in it: straight to the origin. */
export interface PassRoute {
  kind: "pass";
  target: string;
  authority: string;
  framing: ContentFraming | undefined;
  /** In the cache's place, with what is counted there: the origin is told no more of the client than the cache would say. */
  fromCache: CountedFields | undefined;
  /** The protocol that the client offers to switch to and that is passed on. */
  upgrade: string | undefined;
}

/** Request fields, in lower case, that a rule counts in the key. */
export type CountedFields = readonly string[];

const NONE_COUNTED: CountedFields = [];

/** How the content of a request that has some ends. */
export type ContentFraming = Extract<Framing, { kind: "length" | "chunked" }>;

/** Where a request goes, by its head and by what an operator has decided about the site that it belongs to. */
export function routeOf<One extends Site>(head: RequestHead, sites: SiteTable<One>): Route<One> {
  const authority = checkHost(head);
  if (typeof authority === "object") return { kind: "malformed", fault: authority };
  const framing = requestFraming(head);
  if (framing.kind === "malformed") return { kind: "malformed", fault: framing };
  const { method, fields } = head;
  if (method === "CONNECT") return { kind: "answer", status: 501, text: "CONNECT is not served here" };
  const target = parseTarget(method, head.target);
  if ("kind" in target) return { kind: "malformed", fault: target };
  if (target.form === "authority") return { kind: "answer", status: 400, text: "No such target" };
  const path = target.form === "asterisk" ? "*" : target.path;
  const site = sites.only ?? sites.find(authority, path === "*" ? "/" : path);
  if (site === undefined) return { kind: "answer", status: 421, text: "No site here has this host and path" };
  if (site.mayBeLeftBy(path)) {
    return { kind: "answer", status: 400, text: "The path holds a dot segment" };
  }
  const content = framing.kind === "length" || framing.kind === "chunked" ? framing : undefined;
  const expectations = listElements(fields, "expect");
  if (expectations.some((expectation) => expectation !== "" && expectation !== "100-continue")) {
    return { kind: "answer", status: 417, text: "The only expectation that can be met is 100-continue" };
  }
  // OPTIONS * is about the server as a whole, whatever prefix stands before its resources.
  const joined = path === "*" ? "*" : site.join(path);
  const isRetrieval = method === "GET" || method === "HEAD";
  const upgrade = method === "GET" && content === undefined ? offeredProtocol(head) : undefined;
  if (isRetrieval && content === undefined && upgrade === undefined) {
    if (!site.hasRules)
      return { kind: "cache", site, target: joined, keyTarget: joined, authority, counted: NONE_COUNTED };
    const ruling = site.rulingOn(joined);
    const target = site.forwarded(joined, ruling);
    const keyTarget = ruling.rule?.keyTarget(target) ?? target;
    const counted = ruling.rule?.settings.headers ?? NONE_COUNTED;
    if (!ruling.bypass) return { kind: "cache", site, target, keyTarget, authority, counted };
  }
  if (method === "TRACE" && content !== undefined) {
    // RFC 9110 section 9.3.8: a client must not send content in it.
    return { kind: "malformed", fault: malformed("trace-with-content") };
  }
  if (method === "TRACE" || method === "OPTIONS") {
    const forwards = fields.get("max-forwards") ?? "1";
    // RFC 9110 section 7.6.2: it has to be counted before the request goes on, and of two lines nobody knows which one counts.
    if (!/^[0-9]+$/.test(forwards)) return { kind: "malformed", fault: malformed("max-forwards") };
    if (/^0+$/.test(forwards)) return { kind: method === "TRACE" ? "echo" : "options" };
  }
  return { kind: "pass", site, target: joined, authority, fromCache: undefined, framing: content, upgrade };
}

/**
 * The protocol to switch to, when it is one that may be tunnelled: WebSocket (RFC 6455), in HTTP/1.1. Others are left out of what is forwarded: behind
 * an `Upgrade: h2c` requests would pass that nobody here has looked at.
 */
function offeredProtocol({ fields, minorVersion }: RequestHead): string | undefined {
  const offered = fields.get("upgrade");
  if (offered === undefined || minorVersion === 0) return undefined;
  const options = fields.get("connection")?.toLowerCase().split(",") ?? [];
  if (!options.some((option) => option.trim() === "upgrade")) return undefined;
  return offered.toLowerCase() === "websocket" ? offered : undefined;
}
