import type { Fields } from "./fields.ts";
import { ofSameFields } from "./of-same-fields.ts";

/**
 * A request head in HTTP/1.1, with the empty line. Write it as latin1: one char is one octet.
 *
 * @param first Lines that go before `fields`.
 * @throws {TypeError} Method or target hold a byte that would end them on the wire. What {@link parseRequestHead} and
 *   {@link parseTarget} gave out never does.
 */
export function renderRequestHead(method: string, target: string, fields: Fields, first?: Fields): string {
  if (!METHOD.test(method))
    throw new TypeError(`Cannot render the method ${JSON.stringify(method)}: it is not a token`);
  if (!TARGET.test(target))
    throw new TypeError(`Cannot render the target ${JSON.stringify(target)}: it is not visible ASCII`);
  return `${method} ${target} HTTP/1.1\r\n${first === undefined ? "" : firstLines(first)}${lines(fields)}\r\n`;
}

const firstLines = ofSameFields((fields) => fields.render());
const lines = ofSameFields((fields) => fields.render());

/**
 * A response head in HTTP/1.1, with the empty line. Write it as latin1: one char is one octet.
 *
 * @param reason May be empty; the space before it is written all the same (RFC 9112 section 4).
 * @throws {TypeError} The status does not have three digits, or the reason holds a control character.
 */
export function renderResponseHead(status: number, reason: string, fields: Fields): string {
  if (!Number.isInteger(status) || status < 100 || status > 999)
    throw new TypeError(`Cannot render the status ${status}: it has not three digits`);
  if (!REASON.test(reason))
    throw new TypeError(`Cannot render the reason ${JSON.stringify(reason)}: it holds a control character`);
  return `HTTP/1.1 ${status} ${reason}\r\n${fields.render()}\r\n`;
}

/**
 * What goes before a chunk's data; CRLF goes after it.
 *
 * @param bytes Length of the data; at least 1, since a chunk of 0 bytes ends the body.
 */
export function renderChunkHead(bytes: number): string {
  return `${bytes.toString(16)}\r\n`;
}

/** Ends a chunked body that has no trailers. */
export const LAST_CHUNK = "0\r\n\r\n";

/** Ends a chunked body with these trailers. */
export function renderLastChunk(trailers: Fields | undefined): string {
  return trailers === undefined ? LAST_CHUNK : `0\r\n${trailers.render()}\r\n`;
}

const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const TARGET = /^[\x21-\x7e]+$/;
const REASON = /^[\t\x20-\x7e\x80-\xff]*$/;
