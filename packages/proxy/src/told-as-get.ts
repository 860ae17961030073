import { gatewayName, isOfOneClient, type RequestHead, type Site } from "@proj/protocol";
import type { PassRequest } from "./pass-request.ts";
import type { PassSent } from "./pass-through.ts";
import { type Peer, passFields } from "./request-fields.ts";
import type { CountedFields } from "./route.ts";

/** About the content, of which a GET has none. */
const OF_CONTENT = new Set(["content-length", "transfer-encoding", "expect"]);

/**
 * Whether a request that went past the cache told the origin nothing but what a GET with the same fields would tell it through the cache: no field that is kept
 * from what others get (CHECKLIST 31), not by which name and scheme it was asked unless a rule counts those, nothing of a target that is not forwarded.
 * Only then may its answer be the answer to such a GET.
 */
export function isToldAsGet({ head, route }: PassRequest, sent: PassSent, site: Site): boolean {
  const ruling = site.rulingOn(route.target);
  if (ruling.bypass || site.forwarded(route.target, ruling) !== route.target) return false;
  const counted = ruling.rule?.settings.headers ?? [];
  const asGet = passFields(head, { ...route, framing: undefined, fromCache: counted }, sent.peer);
  const told = new Set([...asGet].map(lineOf));
  const isForwardedKnown = saysNothingElse(head, counted, sent.peer);
  for (const [name, value] of sent.fields) {
    const lowerName = name.toLowerCase();
    if (OF_CONTENT.has(lowerName) || (lowerName === "forwarded" && isForwardedKnown)) continue;
    if (isOfOneClient(gatewayName(lowerName)) || !told.has(lineOf([name, value]))) return false;
  }
  return true;
}

/** By which name and scheme it was asked, in the fields that a rule can count. */
const NAME_AND_SCHEME = ["x-forwarded-host", "x-forwarded-proto"];

/** Whether Forwarded, which can not be counted since it names an address too, has the name and scheme that are counted, and no proxy's before this one. */
function saysNothingElse({ fields }: RequestHead, counted: CountedFields, peer: Peer): boolean {
  if (!NAME_AND_SCHEME.every((name) => counted.includes(name))) return false;
  return !peer.isTrusted || !["forwarded", ...NAME_AND_SCHEME].some((name) => fields.has(name));
}

function lineOf([name, value]: readonly [string, string]): string {
  return `${name.toLowerCase()}: ${value}`;
}
