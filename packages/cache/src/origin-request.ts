import { CONDITIONAL_FIELD_NAMES, Fields } from "@proj/protocol";
import type { ClientRequest } from "./client-request.ts";
import { VIA } from "./head-block.ts";

const NOT_FOR_THE_WHOLE = new Set([...CONDITIONAL_FIELD_NAMES, "range"]);

/**
 * The fields of a request that may be answered to others too: the client's, without its conditions and ranges, since the whole response is
 * wanted; with our own conditions where something is to be validated.
 */
export function fillFields(request: ClientRequest, conditions: readonly (readonly [string, string])[]): Fields {
  const fields = request.fields.filter((lowerName) => !NOT_FOR_THE_WHOLE.has(lowerName));
  for (const [name, value] of conditions) fields.add(name, value);
  fields.add("Via", VIA);
  return fields;
}

/** The fields of a request that only passes: all that the client sent. */
export function passFields(request: ClientRequest): Fields {
  return Fields.from([...request.fields, ["Via", VIA]]);
}
