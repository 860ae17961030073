import type { Address } from "./address.ts";
import type { ClientBehaviour, ClientResult } from "./client-result.ts";
import { exchange, type ParsedHead } from "./exchange.ts";

export interface HttpRequest {
  method?: string;
  headers?: Record<string, string>;
}

/** An HTTP/1.1 client on a bare socket: one request, one response, and it sees a body that is broken off. */
export function http(
  address: Address,
  path: string,
  { method = "GET", headers = {}, ...behaviour }: HttpRequest & ClientBehaviour = {},
): Promise<ClientResult> {
  const fields = { Host: `${address.host}:${address.port}`, Connection: "close", ...headers };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  const request = `${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n`;
  const parseHead = (received: string) => parse(received, method);
  return exchange(address, { request, parseHead, unframe }, behaviour);
}

/** A field of a head; undefined when it is not there. */
export function field(head: string, name: string): string | undefined {
  return new RegExp(`^${name}:[ \\t]*(.*?)[ \\t]*\\r$`, "im").exec(head)?.[1];
}

function parse(received: string, method: string): ParsedHead | undefined {
  const end = received.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const head = received.slice(0, end + 4);
  const status = /^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? "malformed";
  const length = field(head, "content-length");
  const hasNoBody = method === "HEAD" || status === "204" || status === "304";
  return { status, headBytes: head.length, length: hasNoBody ? 0 : length === undefined ? undefined : Number(length) };
}

/** For a chunked body: takes what has come, gives the data in it. */
function unframe(head: string): ((chunk: Buffer) => { body: Buffer; isLast: boolean }) | undefined {
  if (field(head, "transfer-encoding")?.toLowerCase() !== "chunked") return undefined;
  let pending = Buffer.alloc(0);
  return (chunk) => {
    pending = Buffer.concat([pending, chunk]);
    const parts: Buffer[] = [];
    for (;;) {
      const lineEnd = pending.indexOf("\r\n");
      if (lineEnd < 0) return { body: Buffer.concat(parts), isLast: false };
      const size = Number.parseInt(pending.toString("latin1", 0, lineEnd), 16);
      if (size === 0) return { body: Buffer.concat(parts), isLast: pending.toString("latin1", lineEnd) === "\r\n\r\n" };
      if (pending.length < lineEnd + 2 + size + 2) return { body: Buffer.concat(parts), isLast: false };
      parts.push(pending.subarray(lineEnd + 2, lineEnd + 2 + size));
      pending = pending.subarray(lineEnd + 2 + size + 2);
    }
  };
}
