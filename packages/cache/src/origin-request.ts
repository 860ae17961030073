import {
  CONDITIONAL_FIELD_NAMES,
  type Fields,
  isMethodOverride,
  isSaidByProxies,
  ofSameFields,
  onGatewayName,
  SURROGATE_CAPABILITY,
} from "@proj/protocol";
import type { ClientRequest } from "./client-request.ts";

const OF_ONE_CLIENT = new Set([...CONDITIONAL_FIELD_NAMES, "range"]);
/**
 * What one client says and the response to others must not depend on, however the name is spelled. Its conditions and ranges: the whole response is wanted.
 * And fields that are no part of the key but by which many an origin chooses another host, target or method: who sends one would answer for
 * everybody else (CHECKLIST 31). The proxy takes those away too.
 */
const isForOthers = onGatewayName(
  (name) => !OF_ONE_CLIENT.has(name) && !isSaidByProxies(name) && !isMethodOverride(name),
);

/**
 * The fields of a request that may be answered to others too: the client's, without what only concerns that client; with our own conditions where
 * something is to be validated, or our own Range; and whom it is asked for, as the proxy says. Nobody may change them: others may be given them too.
 */
export function fillFields(request: ClientRequest, own: readonly (readonly [string, string])[]): Fields {
  const fields = own.length === 0 ? plainFillFields(request.fields) : fillFieldsWith(request.fields, own);
  return request.forwarding.length === 0 ? fields : fields.followedBy(request.forwarding);
}

const plainFillFields = ofSameFields((client) => fillFieldsWith(client, []));

function fillFieldsWith(client: Fields, own: readonly (readonly [string, string])[]): Fields {
  const fields = client.filter(isForOthers);
  for (const [name, value] of own) fields.add(name, value);
  addConnection(fields);
  fields.add("Surrogate-Capability", SURROGATE_CAPABILITY);
  return fields;
}

/** The fields of a request that only passes: all that the client sent. */
export function passFields(request: ClientRequest): Fields {
  const fields = request.fields.followedBy(request.forwarding);
  addConnection(fields);
  return fields;
}

/** RFC 9110 section 10.1.4: TE, which the proxy renders anew, is for the next hop. */
function addConnection(fields: Fields): void {
  if (fields.has("te")) fields.add("Connection", "TE");
}
