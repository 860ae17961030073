import {
  endToEndFields,
  type Fields,
  type Framing,
  isSafeMethod,
  ownVia,
  type ResponseHead,
  renderCacheStatus,
  withDate,
} from "@proj/protocol";
import type { OutgoingFraming } from "./response-head.ts";

/** How a response that only passes is framed for this client: as it came where that can be, in chunks where its length is not known. */
export function passFraming(framing: Framing, minorVersion: 0 | 1): OutgoingFraming {
  if (framing.kind === "none" || framing.kind === "length") return framing;
  return minorVersion === 1 ? { kind: "chunked" } : { kind: "until-close" };
}

/** What was rendered last of a head that comes again and again: the origin client gives out one object for it. */
const rendered = new WeakMap<ResponseHead, { readonly how: PassHow; readonly text: string }>();

/** The head of a response that only passes: the origin's fields in their order and case, then those of this hop. */
export function renderPassHead(head: ResponseHead, how: PassHow): string {
  const known = rendered.get(head);
  if (known !== undefined && isSameHow(known.how, how)) return known.text;
  const text = render(head, how);
  if (head.fields.has("date")) rendered.set(head, { how, text });
  return text;
}

/** A length is in the head, and so is a date. */
function isSameHow(one: PassHow, other: PassHow): boolean {
  return one.method === other.method && one.framing.kind === other.framing.kind && one.connection === other.connection;
}

interface PassHow {
  readonly method: string;
  readonly framing: OutgoingFraming;
  readonly connection: "keep-alive" | "close" | undefined;
  readonly nowMs: number;
}

function render(head: ResponseHead, how: PassHow): string {
  const { status, reason, minorVersion } = head;
  // RFC 9110 section 8.6: no length in 204. A response in chunks has none; one that ends with the connection has none either.
  const fields = status === 204 ? withoutLength(endToEndFields(head.fields)) : endToEndFields(head.fields);
  let text = `HTTP/1.1 ${status} ${reason}\r\n${withDate(fields, how.nowMs).render()}`;
  if (how.framing.kind === "chunked") text += `${renderTrailerField(head.fields)}Transfer-Encoding: chunked\r\n`;
  text += status === 426 ? renderUpgrade(head.fields, how.connection) : renderConnection(how.connection);
  const forwarded =
    isSafeMethod(how.method) && how.method !== "OPTIONS" && how.method !== "TRACE" ? "bypass" : "method";
  return `${text}Via: ${ownVia(minorVersion)}\r\nCache-Status: ${renderCacheStatus({ forwarded })}\r\n\r\n`;
}

function renderConnection(options: string | undefined): string {
  return options === undefined ? "" : `Connection: ${options}\r\n`;
}

/** RFC 9110 section 15.5.22: a 426 says which protocols it asks for, and what offers one of them passes here. */
function renderUpgrade(fields: Fields, connection: string | undefined): string {
  const protocols = fields.get("upgrade");
  if (protocols === undefined) return renderConnection(connection);
  return `Upgrade: ${protocols}\r\n${renderConnection(connection === undefined ? "Upgrade" : `${connection}, Upgrade`)}`;
}

/** RFC 9110 section 6.6.2: which trailers may come, said where they can. */
function renderTrailerField(fields: Fields): string {
  return fields
    .all("trailer")
    .map((names) => `Trailer: ${names}\r\n`)
    .join("");
}

/** An interim response (RFC 9110 section 15.2). It has no content, whatever its fields say. */
export function renderInterim(head: ResponseHead): string {
  const fields = withoutLength(endToEndFields(head.fields));
  return `HTTP/1.1 ${head.status} ${head.reason}\r\n${fields.render()}Via: ${ownVia(head.minorVersion)}\r\n\r\n`;
}

/** The 101 that turns the connection into a tunnel. */
export function renderSwitch(head: ResponseHead, protocol: string): string {
  const fields = withoutLength(endToEndFields(head.fields));
  const ours = `Connection: Upgrade\r\nUpgrade: ${protocol}\r\nVia: ${ownVia(head.minorVersion)}\r\n\r\n`;
  return `HTTP/1.1 101 ${head.reason}\r\n${fields.render()}${ours}`;
}

function withoutLength(fields: Fields): Fields {
  return fields.filter((lowerName) => lowerName !== "content-length");
}
