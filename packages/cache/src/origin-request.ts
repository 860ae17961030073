import { type Fields, gatewayName, isForOthers, ofSameFields, SURROGATE_CAPABILITY } from "@proj/protocol";
import type { ClientRequest } from "./client-request.ts";

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
  const fields = client.filter((lowerName) => isForOthers(gatewayName(lowerName)));
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
