import fc from "fast-check";
import type { Stream } from "./http1-stream.ts";

const METHODS = [
  "GET",
  "HEAD",
  "POST",
  "PUT",
  "DELETE",
  "OPTIONS",
  "PATCH",
  "TRACE",
  "CONNECT",
  "PURGE",
  "PROPFIND",
  "QUERY",
];
const TARGETS = [
  "/",
  "/a?b=c",
  "//a/../%2e",
  "*",
  "http://a/b",
  "http://a",
  "https://a:443/?c",
  "a:443",
  "/a;b,c|d",
  "/%00",
];
const HOSTS = ["a", "a.example:80", "127.0.0.1", "[::1]:8080", "a:", "", "a,b", "a b", "u@a"];
const CONNECTIONS = ["close", "keep-alive", "Keep-Alive, X-A", "upgrade", "x-a", ", close", "close, upgrade", "Close"];
const CODINGS = [
  "chunked",
  "Chunked",
  "gzip, chunked",
  "chunked, gzip",
  "identity",
  ",chunked",
  "chunked,",
  "xchunked",
  "gzip",
  "",
];
const LENGTHS = [
  "0",
  "3",
  "03",
  "5, 5",
  "+5",
  "-1",
  "0x5",
  "1e1",
  "",
  "5 5",
  "18446744073709551616",
  "99999999999999999999",
];
const TOKENS = [
  "\r\n",
  "\r",
  "\n",
  "\r\n\r\n",
  "\0",
  "\t",
  " ",
  "\v",
  "\f",
  ":",
  ",",
  ";",
  "=",
  '"',
  "\\",
  "#",
  "\x7f",
  "\x80",
  "\xff",
];
const PHRASES = [
  "0\r\n\r\n",
  "0",
  "5",
  "a",
  "chunked",
  "Content-Length: 3\r\n",
  "Transfer-Encoding: chunked\r\n",
  " HTTP/1.1",
  "HTTP/1.0",
];
const CLOSERS = [
  "Connection: close\r\n",
  "Upgrade: a\r\n",
  "X-A: b\r\n",
  "Host: b\r\n",
  "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
  "\r\n x",
];

const fieldNames = fc.oneof(
  fc.constantFrom("X-A", "x-a", "Accept", "Upgrade", "Expect", "Content-Type", "Content_Length", "Trailer", "TE"),
  fc.stringMatching(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,12}$/),
);
const fieldValues = fc.oneof(
  fc.constantFrom("", "b", "b, c", '"quoted"', "100-continue", "websocket"),
  fc.stringMatching(/^[\t\x20-\x7e\x80-\xff]{0,20}$/),
);
const whitespaces = fc.constantFrom("", " ", " ", " ", "  ", "\t", " \t ");
const octets = fc.nat({ max: 255 }).map((octet) => String.fromCharCode(octet));
const content = fc.string({ unit: octets, maxLength: 24 });

function fieldLine(name: string, values: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .tuple(whitespaces, values, whitespaces)
    .map(([before, value, after]) => `${name}:${before}${value}${after}\r\n`);
}

const otherFields = fc
  .array(
    fc.oneof(
      fc.tuple(fieldNames, whitespaces, fieldValues).map(([name, space, value]) => `${name}:${space}${value}\r\n`),
      fc.constantFrom(...CONNECTIONS).map((options) => `Connection: ${options}\r\n`),
    ),
    { maxLength: 4 },
  )
  .map((lines) => lines.join(""));

const hostFields = fc.oneof(
  { weight: 30, arbitrary: fc.constant("Host: a\r\n") },
  { weight: 2, arbitrary: fieldLine("Host", fc.constantFrom(...HOSTS)) },
  { weight: 1, arbitrary: fc.constantFrom("", "Host: a\r\nHost: b\r\n") },
);

const extensions = fc.oneof(
  { weight: 12, arbitrary: fc.constant("") },
  { weight: 6, arbitrary: fc.constantFrom(";a", ";a=b", ';a="b;\\"c"', ";a;b=c") },
  { weight: 1, arbitrary: fc.constantFrom(";a=", ";", " ;a", ";a =b", ";a=b ") },
);
const chunkSizes = (bytes: number) =>
  fc.constantFrom(bytes.toString(16), bytes.toString(16), `0${bytes.toString(16)}`, bytes.toString(16).toUpperCase());
const chunks = fc
  .string({ unit: octets, minLength: 1, maxLength: 20 })
  .chain((data) => fc.tuple(chunkSizes(data.length), extensions).map(([size, ext]) => `${size}${ext}\r\n${data}\r\n`));
const trailerLines = fc.oneof(
  { weight: 12, arbitrary: fc.constant("") },
  { weight: 6, arbitrary: fc.constantFrom("X-T: 1\r\n", "X-T: 1\r\nX-U:2 \r\n") },
  { weight: 1, arbitrary: fc.constantFrom("Content-Length: 3\r\n", "Host: b\r\n", "X-T : 1\r\n", " x\r\n", "X-T\r\n") },
);
const chunkedBodies = fc
  .tuple(fc.array(chunks, { maxLength: 3 }), extensions, trailerLines)
  .map(([data, extension, trailers]) => `${data.join("")}0${extension}\r\n${trailers}\r\n`);

/** Framing fields and the body that goes with them, mostly in agreement. */
const framedBodies: fc.Arbitrary<[fields: string, body: string]> = fc.oneof(
  { weight: 10, arbitrary: fc.constant<[string, string]>(["", ""]) },
  { weight: 10, arbitrary: content.map((body): [string, string] => [`Content-Length: ${body.length}\r\n`, body]) },
  { weight: 15, arbitrary: chunkedBodies.map((body): [string, string] => ["Transfer-Encoding: chunked\r\n", body]) },
  { weight: 1, arbitrary: fc.tuple(fieldLine("Content-Length", fc.constantFrom(...LENGTHS)), content) },
  { weight: 1, arbitrary: fc.tuple(fieldLine("Transfer-Encoding", fc.constantFrom(...CODINGS)), chunkedBodies) },
  {
    weight: 1,
    arbitrary: fc.tuple(
      fc
        .tuple(
          fieldLine("Content-Length", fc.constantFrom(...LENGTHS)),
          fieldLine("Transfer-Encoding", fc.constantFrom(...CODINGS)),
        )
        .map((lines) => lines.join("")),
      chunkedBodies,
    ),
  },
);

const requestLines = fc
  .tuple(
    fc.oneof(
      { weight: 5, arbitrary: fc.constantFrom("GET", "POST") },
      { weight: 2, arbitrary: fc.constantFrom(...METHODS) },
    ),
    fc.oneof({ weight: 4, arbitrary: fc.constant("/a") }, { weight: 2, arbitrary: fc.constantFrom(...TARGETS) }),
    fc.oneof({ weight: 20, arbitrary: fc.constant("1.1") }, fc.constantFrom("1.0", "1.0", "2.0", "1.2", "0.9", "1.10")),
  )
  .map(([method, target, version]) => `${method} ${target} HTTP/${version}\r\n`);

const statusLines = fc
  .tuple(
    fc.oneof({ weight: 20, arbitrary: fc.constant("1.1") }, fc.constantFrom("1.0", "1.0", "2.0", "1.2")),
    fc.oneof(
      { weight: 5, arbitrary: fc.constant("200") },
      fc.constantFrom("100", "101", "103", "204", "304", "404", "599", "600", "099", "20"),
    ),
    fc.constantFrom(" OK", " ", "", " Not Found", " \xe9"),
  )
  .map(([version, status, reason]) => `HTTP/${version} ${status}${reason}\r\n`);

function messagesOf(kind: Stream["kind"]): fc.Arbitrary<string> {
  const startLines = kind === "request" ? requestLines : statusLines;
  const firstFields = kind === "request" ? hostFields : fc.constant("");
  return fc
    .tuple(startLines, firstFields, otherFields, framedBodies, otherFields)
    .map(([start, host, before, [framing, body], after]) => `${start}${host}${before}${framing}${after}\r\n${body}`);
}

const inserted = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...TOKENS) },
  { weight: 3, arbitrary: fc.constantFrom(...PHRASES, ...CLOSERS) },
  { weight: 1, arbitrary: octets },
);

type Mutation = (bytes: string) => string;

const places = fc.nat({ max: 1_000_000 });
const mutations: fc.Arbitrary<Mutation> = fc.oneof(
  fc.tuple(places, inserted).map(
    ([place, text]) =>
      (bytes: string) =>
        splice(bytes, place, 0, text),
  ),
  fc.tuple(places, inserted).map(
    ([place, text]) =>
      (bytes: string) =>
        splice(bytes, place, text.length, text),
  ),
  fc.tuple(places, fc.integer({ min: 1, max: 6 })).map(
    ([place, count]) =>
      (bytes: string) =>
        splice(bytes, place, count, ""),
  ),
  fc.tuple(places, places, fc.integer({ min: 1, max: 40 })).map(
    ([place, from, count]) =>
      (bytes: string) =>
        splice(bytes, place, 0, bytes.substr(from % (bytes.length + 1), count)),
  ),
);

function splice(bytes: string, place: number, removed: number, text: string): string {
  const at = place % (bytes.length + 1);
  return bytes.slice(0, at) + text + bytes.slice(at + removed);
}

function streamsOf(kind: Stream["kind"]): fc.Arbitrary<Stream> {
  return fc
    .tuple(
      fc.array(messagesOf(kind), { minLength: 1, maxLength: 3 }),
      fc.oneof(fc.constant([]), fc.array(mutations, { minLength: 1, maxLength: 4 })),
      fc.array(fc.constantFrom("GET", "GET", "HEAD", "POST", "CONNECT"), { maxLength: 3 }),
    )
    .map(([messages, changes, requestMethods]) => ({
      kind,
      bytes: changes.reduce((bytes, change) => change(bytes), messages.join("")),
      requestMethods,
    }));
}

/**
 * Connections' worth of HTTP/1.1: a few messages, each whole and well framed or nearly so, then mutated in none to four
 * places. Octets that parsers disagree about (CR, LF, HTAB, NUL, `;`, `,`, digits...) are what is inserted most often.
 */
export const streams: fc.Arbitrary<Stream> = fc.oneof(streamsOf("request"), streamsOf("response"));
