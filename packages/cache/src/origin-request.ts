import { CONDITIONAL_FIELD_NAMES, type Fields, ofSameFields, SURROGATE_CAPABILITY } from "@proj/protocol";
import type { ClientRequest } from "./client-request.ts";

/**
 * What one client says and the response to others must not depend on. Its conditions and ranges: the whole response is wanted. And fields that are no
 * part of the key but by which many an origin chooses another host, target or method: who sends one would answer for
 * everybody else (CHECKLIST 31).
 */
const NOT_FOR_OTHERS = new Set([
  ...CONDITIONAL_FIELD_NAMES,
  "range",
  ...[
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-forwarded-scheme",
  ],
  ...["x-forwarded-server", "x-forwarded-prefix", "x-forwarded-path", "x-forwarded-uri", "x-host"],
  ...["x-original-host", "x-original-url", "x-original-uri", "x-rewrite-url", "x-override-url"],
  ...["x-http-method", "x-http-method-override", "x-method-override"],
]);

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
  const fields = client.filter((lowerName) => !NOT_FOR_OTHERS.has(lowerName));
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
