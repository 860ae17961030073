import { cacheStatusOf, type ResponseAnswer, reasonPhrase, renderCacheStatus } from "@proj/protocol";

/** How the body of a response is delimited for this client (RFC 9112 section 6.3). */
export type OutgoingFraming =
  | { kind: "none" }
  | { kind: "length"; bytes: number }
  | { kind: "chunked" }
  | { kind: "until-close" };

/**
 * How a response to this request is framed.
 *
 * @param bodyBytes Length of its content; undefined while nobody knows it.
 */
export function outgoingFraming(
  request: { method: string; minorVersion: 0 | 1 },
  status: number,
  bodyBytes: number | undefined,
): OutgoingFraming {
  if (status === 204 || status === 304) return { kind: "none" };
  // RFC 9110 section 8.6: HEAD says the length that GET would have, or nothing.
  if (bodyBytes !== undefined) return { kind: "length", bytes: bodyBytes };
  if (request.method === "HEAD") return { kind: "none" };
  return request.minorVersion === 1 ? { kind: "chunked" } : { kind: "until-close" };
}

/**
 * The start of a response head: everything that depends on this client and this moment. The stored fields and the empty line follow in the
 * segment, so that head and body are one run of bytes there.
 */
export function renderHeadStart(
  response: ResponseAnswer,
  framing: OutgoingFraming,
  connection: "keep-alive" | "close" | undefined,
): string {
  let head = `HTTP/1.1 ${response.status} ${reasonPhrase(response.status)}\r\n`;
  if (framing.kind === "length") head += `Content-Length: ${framing.bytes}\r\n`;
  else if (framing.kind === "chunked") head += "Transfer-Encoding: chunked\r\n";
  if (connection !== undefined) head += `Connection: ${connection}\r\n`;
  if (response.ageSeconds !== undefined) head += `Age: ${response.ageSeconds}\r\n`;
  return response.hasCacheStatus ? head : `${head}Cache-Status: ${renderCacheStatus(cacheStatusOf(response))}\r\n`;
}

/** The start of the head of a response from the hot tier. */
export function renderHotHeadStart(
  bodyBytes: number,
  times: { ageSeconds: number; ttlSeconds: number },
  connection: "keep-alive" | "close" | undefined,
): string {
  return renderHeadStart({ ...HOT, ...times }, { kind: "length", bytes: bodyBytes }, connection);
}

const HOT = {
  status: 200,
  headBytes: 0,
  verdict: "hit",
  forwardStatus: undefined,
  stored: false,
  collapsed: false,
  hotVersion: undefined,
  hasCacheStatus: false,
} as const;
