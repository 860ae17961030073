import { createHash } from "node:crypto";
import { type Fields, gatewayName, isForOthers, ofSameFields } from "@proj/protocol";

/** Stands among the names of fields that a response varies on for all that the request says. No field has such a name. */
export const WHOLE_REQUEST = "(whole request)";

/** Fields that only tell one request from the next: proxies and monitors add them to each. */
const TELL_REQUESTS_APART = new Set([
  ...["x-request-id", "request-id", "x-correlation-id", "traceparent", "x-trace-id", "x-b3-traceid", "x-b3-spanid"],
  ...["x-amzn-trace-id", "x-cloud-trace-context", "x-request-start", "req-num"],
]);
/** What stands in them: a number, or hexadecimal digits in groups. */
const ID = /^[0-9a-f-]{1,64}$/i;

/**
 * All that the origin is told by a fetch that this client causes, in short: two requests whose fields are the same, in whichever order and case of names, are the
 * same here. A digest that nobody can aim at, since somebody else's request is what an attacker would like to hit.
 */
export const wholeRequest = ofSameFields((fields: Fields): string => {
  const lines: [name: string, line: string][] = [];
  for (let index = 0; index < fields.length; index++) {
    const name = fields.lowerName(index);
    if (!isForOthers(gatewayName(name))) continue;
    const value = fields.value(index);
    lines.push([name, TELL_REQUESTS_APART.has(name) && ID.test(value) ? name : `${name}: ${value}`]);
  }
  // Lines of one field stay in their order, which is part of what they say.
  lines.sort(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0));
  const text = lines.map(([, line]) => line).join("\n");
  return createHash("sha256").update(text, "latin1").digest("hex").slice(0, 32);
});
