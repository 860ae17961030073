import {
  endToEndFields,
  type Fields,
  ofSameFields,
  ownVia,
  type ResponseHead,
  renderVia,
  writeLatin1,
} from "@proj/protocol";

/**
 * Fields that are rendered for each client: the length of what it gets, the age at that moment, and Cache-Status, to which every cache on the way
 * adds at the end.
 */
const RENDERED_ANEW = new Set(["content-length", "age", "cache-status"]);
const RENDERED_ANEW_BUT_AGE = new Set(["content-length", "cache-status"]);

/**
 * The fields of a response as a head block: lines, our Via behind any other, and the closing CRLF. Nobody may change it: others may be given it too.
 *
 * @param fields As `receivedFields` gives them.
 * @param age "ours" when the proxy says how old it is; "theirs" for a response that only passes.
 */
export function renderHeadBlock(fields: Fields, age: "ours" | "theirs"): Uint8Array {
  return age === "theirs" && fields.has("age") ? withTheirAge(fields) : withoutAge(fields);
}

const withoutAge = ofSameFields((fields) => blockOf(fields.without(RENDERED_ANEW)));
const withTheirAge = ofSameFields((fields) => blockOf(fields.without(RENDERED_ANEW_BUT_AGE)));

function blockOf(fields: Fields): Uint8Array {
  const text = `${fields.render()}${renderVia(fields)}\r\n`;
  const block = new Uint8Array(text.length);
  writeLatin1(block, text, 0);
  return block;
}

/** An interim response as it goes out; it has no content, whatever its fields say. */
export function renderInterim({ status, reason, minorVersion, fields }: ResponseHead): Uint8Array {
  const lines = endToEndFields(fields).filter((lowerName) => lowerName !== "content-length");
  lines.add("Via", ownVia(minorVersion));
  return new Uint8Array(Buffer.from(`HTTP/1.1 ${status} ${reason}\r\n${lines.render()}\r\n`, "latin1"));
}

/** A head block with a Cache-Status line of its own in front, for a response whose value the proxy can not render from the segment's header. */
export function withCacheStatus(headBlock: Uint8Array, value: string): Uint8Array {
  const line = Buffer.from(`Cache-Status: ${value}\r\n`, "latin1");
  const block = new Uint8Array(line.length + headBlock.length);
  block.set(line);
  block.set(headBlock, line.length);
  return block;
}
