import { endToEndFields, Fields, isMethodOverride, isSaidByProxies, ownVia, type RequestHead } from "@proj/protocol";
import type { CountedFields, PassRoute } from "./route.ts";

/** Whom a request comes from, as the socket says. */
export interface Peer {
  readonly address: string;
  /** Its word about those behind it is taken: `--trust-proxy` names it. */
  readonly isTrusted: boolean;
  readonly scheme: "http" | "https";
  /** What was told of it with its last request: the same as long as it asks for the same authority, unless its own word counts. */
  forwarding?: { readonly authority: string; readonly fields: Fields };
  /** Likewise what the cache was told of it, of which no part depends on the request. */
  cacheForwarding?: CacheForwarding;
}

/** Lines, and as text. */
interface CacheForwarding {
  readonly fields: Fields;
  readonly section: string;
}

/** Not the client's to pass on: Host is the origin's, a length without a body is nobody's, an expectation without content is met. */
const NOT_TO_CACHE = new Set(["host", "content-length", "expect"]);

/**
 * The fields of a GET or HEAD as the cache gets them, as text. What is fetched for one client may be stored for all, so nothing of what the client says
 * is among them about who asks, through which name or how: an origin that answers by it would answer everybody so.
 */
export function renderCacheFields({ fields, minorVersion }: RequestHead): string {
  const rendered = cacheFields(fields).render();
  return minorVersion === 1 && takesTrailers(fields) ? `${rendered}TE: trailers\r\n` : rendered;
}

/** What the origin is told of the client by the fetch that its request causes, as text: see {@link cacheForwardingOf}. */
export function renderCacheForwarding(
  head: RequestHead,
  authority: string,
  peer: Peer,
  counted: CountedFields,
): string {
  return cacheForwardingOf(head, authority, peer, counted).section;
}

/**
 * Its address, which an origin logs and limits by. Scheme and host, by which origins choose what they answer, only where a rule counts the field in the key:
 * else who asks first would decide for everybody (CHECKLIST 31). And this hop, by the version that the client spoke.
 */
function cacheForwardingOf(head: RequestHead, authority: string, peer: Peer, counted: CountedFields): CacheForwarding {
  const isConstant = !peer.isTrusted && counted.length === 0 && head.minorVersion === 1;
  if (isConstant && peer.cacheForwarding !== undefined) return peer.cacheForwarding;
  const fields = new Fields();
  addForwarding(fields, head, authority, peer, (lowerName) => counted.includes(lowerName));
  fields.addAll(VIA[head.minorVersion]!);
  const forwarding = { fields, section: fields.render() };
  if (isConstant) peer.cacheForwarding = forwarding;
  return forwarding;
}

function cacheFields(fields: Fields): Fields {
  return endToEndFields(fields, mayReachCache);
}

/** RFC 9110 section 10.1.4. */
function takesTrailers(fields: Fields): boolean {
  const codings = fields.get("te")?.toLowerCase().split(",") ?? [];
  return codings.some((coding) => coding.trim() === "trailers");
}

function mayReachCache(_: string, name: string): boolean {
  return !NOT_TO_CACHE.has(name) && !isSaidByProxies(name) && !isMethodOverride(name);
}

/** This hop, by the minor version of HTTP that the request came in. */
const VIA = ([0, 1] as const).map((minorVersion) => Fields.from([["Via", ownVia(minorVersion)]]));

/** The fields of a request that goes straight to the origin: the client's in their order, then those of this hop. */
export function passFields(head: RequestHead, route: PassRoute, peer: Peer): Fields {
  const { framing } = route;
  if (route.fromCache !== undefined) {
    const fields = cacheFields(head.fields);
    fields.addAll(cacheForwardingOf(head, route.authority, peer, route.fromCache).fields);
    if (head.minorVersion === 1) addConnectionFields(fields, head, route);
    return fields;
  }
  const expectsContinue = framing !== undefined && head.minorVersion === 1;
  const fields = endToEndFields(head.fields, (lowerName, name) => {
    if (lowerName === "host") return false;
    if (lowerName === "expect") return expectsContinue;
    // What frames content is for this hop to say, and by its own name: what only resembles it may be taken for it behind.
    if (name === "content-length") return lowerName === name && framing?.kind !== "chunked";
    return !isSaidByProxies(name);
  });
  if (head.method === "TRACE" || head.method === "OPTIONS") countForward(fields);
  fields.addAll(forwardingOf(head, route.authority, peer));
  if (framing?.kind === "chunked") {
    for (const names of head.fields.all("trailer")) fields.add("Trailer", names); // RFC 9110 section 6.6.2: they go on too
    fields.add("Transfer-Encoding", "chunked");
  }
  addConnectionFields(fields, head, route);
  fields.addAll(VIA[head.minorVersion]!);
  return fields;
}

/** The fields of a GETFILE request that goes straight to the origin: the file itself is wanted, in no coding. */
export function getfilePassFields(address: string): Fields {
  const fields = Fields.from([["Accept-Encoding", "identity"]]);
  fields.addAll(getfileForwarding(address));
  return fields;
}

/** Of a client that asks by GETFILE, which knows of no proxies before this one. */
export function getfileForwarding(address: string): Fields {
  return Fields.from([
    ["Forwarded", `for=${forwardedNode(address)}`],
    ["X-Forwarded-For", address],
    ["Via", ownVia(1)],
  ]);
}

/** RFC 7239 section 6. */
function forwardedNode(address: string): string {
  return address.includes(":") ? `"[${address}]"` : address;
}

/** RFC 9110 section 7.6.2: one less, or the most that is counted here. What is no number has been refused. */
function countForward(fields: Fields): void {
  const left = fields.get("max-forwards");
  if (left === undefined) return;
  fields.set("Max-Forwards", String(Math.min(Number(left) - 1, FORWARDS_MAX)));
}

/** Nine digits: what any recipient can hold. */
const FORWARDS_MAX = 999_999_999;

function forwardingOf(head: RequestHead, authority: string, peer: Peer): Fields {
  if (!peer.isTrusted && peer.forwarding?.authority === authority) return peer.forwarding.fields;
  const fields = new Fields();
  addForwarding(fields, head, authority, peer, () => true);
  peer.forwarding = { authority, fields };
  return fields;
}

/**
 * RFC 7239, and the fields that were there before it: a trusted peer's go on, with the peer added; of others only what the socket says.
 *
 * @param tells Whether the origin is told all that this field can say. Forwarded names addresses all the same.
 */
function addForwarding(
  fields: Fields,
  head: RequestHead,
  authority: string,
  peer: Peer,
  tells: (lowerName: string) => boolean,
): void {
  const said = (lowerName: string) => (peer.isTrusted ? head.fields.get(lowerName) : undefined);
  const append = (before: string | undefined, own: string) => (before === undefined ? own : `${before}, ${own}`);
  const node = `for=${forwardedNode(peer.address)}`;
  if (tells("forwarded")) {
    const host = authority === "" ? "" : `;host=${quoted(authority)}`;
    fields.add("Forwarded", append(said("forwarded"), `${node}${host};proto=${peer.scheme}`));
  } else {
    fields.add("Forwarded", append(forwardedNodes(said("forwarded")), node));
  }
  fields.add("X-Forwarded-For", append(said("x-forwarded-for"), peer.address));
  if (tells("x-forwarded-proto")) fields.add("X-Forwarded-Proto", said("x-forwarded-proto") ?? peer.scheme);
  const saidHost = said("x-forwarded-host") ?? authority;
  if (tells("x-forwarded-host") && saidHost !== "") fields.add("X-Forwarded-Host", saidHost);
}

/**
 * A parameter of Forwarded (RFC 7239 section 4): its name, and its value, a token or a quoted string. A name is looked for where a token begins, and not at
 * each of its octets: one of 60 KB that is no parameter would take seconds, and a thread that stands still for half of one is taken for hung.
 */
const FORWARDED_PAIR = /(?<![!#$%&'*+\-.^_`|~0-9A-Za-z])([!#$%&'*+\-.^_`|~0-9A-Za-z]+)=("(?:[^"\\]|\\.)*"|[^\s",;]+)/g;

/** Its elements with nothing but their addresses; undefined when there are none. */
function forwardedNodes(forwarded: string | undefined): string | undefined {
  const pairs = forwarded === undefined ? [] : [...forwarded.matchAll(FORWARDED_PAIR)];
  const nodes = pairs.flatMap(([, name, node]) => (name!.toLowerCase() === "for" ? [`for=${node}`] : []));
  return nodes.length === 0 ? undefined : nodes.join(", ");
}

/** RFC 9110 section 5.6: what is no token is quoted. A Host holds neither quote nor backslash. */
function quoted(text: string): string {
  return /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(text) ? text : `"${text}"`;
}

/** What the client said about the connection and holds for ours too: it takes trailers, and the protocol it offers. */
function addConnectionFields(fields: Fields, head: RequestHead, { upgrade }: PassRoute): void {
  if (upgrade === undefined && !head.fields.has("te")) return;
  const options: string[] = [];
  if (takesTrailers(head.fields)) {
    fields.add("TE", "trailers");
    options.push("TE");
  }
  if (upgrade !== undefined) {
    fields.add("Upgrade", upgrade);
    options.push("Upgrade");
  }
  if (options.length > 0) fields.add("Connection", options.join(", "));
}
