import { endToEndFields } from "./end-to-end.ts";
import type { Fields } from "./fields.ts";
import type { ResponseHead } from "./head.ts";

const OWN = ["1.0 webproxy", "1.1 webproxy"] as const;

/** What this hop says of itself in Via (RFC 9110 section 7.6.3): the version in which it has received the message, and a pseudonym. */
export function ownVia(minorVersion: 0 | 1): string {
  return OWN[minorVersion];
}

/**
 * The fields of a response as a cache keeps them: end to end, and in which version it was received, where {@link renderVia} could not know it.
 * Nearly all come in HTTP/1.1, and for them that costs nothing.
 *
 * @returns May be given to others too, and is not to be changed.
 * @example
 * receivedFields(headOf("HTTP/1.0 200 OK\r\nETag: \"a\"")).render(); // ETag: "a" CRLF Via: 1.0 webproxy CRLF
 */
export function receivedFields(head: ResponseHead): Fields {
  const fields = endToEndFields(head.fields);
  if (head.minorVersion === 1 && !namesThisHop(fields)) return fields;
  const received = fields.filter(() => true);
  received.add("Via", ownVia(head.minorVersion));
  return received;
}

/** The line that has to follow what {@link receivedFields} gave; empty where it is among it. */
export function renderVia(received: Fields): string {
  return namesThisHop(received) ? "" : `Via: ${ownVia(1)}\r\n`;
}

/** A Via of another hop that ends with the same words is followed by ours: see {@link receivedFields}. */
function namesThisHop(fields: Fields): boolean {
  const via = fields.get("via");
  return via !== undefined && OWN.some((own) => via.endsWith(own));
}
