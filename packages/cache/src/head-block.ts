import type { Fields } from "@proj/protocol";

/** How this hop names itself (RFC 9110 section 7.6.3): the protocol received, a pseudonym. */
export const VIA = "1.1 webproxy";

/** Fields that the proxy renders for each client: the length of what it sends, and the age at that moment. */
const RENDERED_BY_PROXY = new Set(["content-length", "age"]);
const RENDERED_BY_PROXY_BUT_AGE = new Set(["content-length"]);

/**
 * The fields of a response as a head block: lines, our Via behind any other, and the closing CRLF.
 *
 * @param fields End-to-end fields.
 * @param age "ours" when the proxy says how old it is; "theirs" for a response that only passes.
 */
export function renderHeadBlock(fields: Fields, age: "ours" | "theirs"): Uint8Array {
  const left = age === "ours" ? RENDERED_BY_PROXY : RENDERED_BY_PROXY_BUT_AGE;
  const lines = fields.filter((lowerName) => !left.has(lowerName));
  lines.add("Via", VIA);
  return Uint8Array.from(Buffer.from(`${lines.render()}\r\n`, "latin1"));
}
