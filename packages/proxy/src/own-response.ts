import { Fields, formatHttpDate, ownVia, type RequestHead, reasonPhrase, renderRequestHead } from "@proj/protocol";
import { renderProxyStatus } from "./proxy-status.ts";

/** A response that this proxy makes itself. */
export interface OwnResponse {
  readonly status: number;
  /** A sentence for people, or what `contentType` says. */
  readonly text: string;
  /** An error type of RFC 9209: something behind us is the reason. */
  readonly error?: string | undefined;
  readonly contentType?: string;
}

/** Rendered whole, as latin1; without the content for HEAD. */
export function renderOwnResponse(
  { status, text, error, contentType = "text/plain; charset=utf-8" }: OwnResponse,
  to: { isHead: boolean; connection: "keep-alive" | "close" | undefined; nowMs: number },
): string {
  const content = contentType.startsWith("text/plain") ? `${text}\n` : text;
  const head =
    `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\nDate: ${formatHttpDate(to.nowMs)}\r\n` +
    `Content-Type: ${contentType}\r\nContent-Length: ${content.length}\r\n` +
    (status === 503 ? "Retry-After: 1\r\n" : "") +
    (to.connection === undefined ? "" : `Connection: ${to.connection}\r\n`) +
    (error === undefined ? "" : `Proxy-Status: ${renderProxyStatus(error)}\r\n`) +
    `Via: ${ownVia(1)}\r\nCache-Status: webproxy\r\n\r\n`;
  return to.isHead ? head : head + content;
}

/** RFC 9110 section 9.3.8: a request's head as it came, without what is nobody else's to see. */
export function echoOf({ method, target, fields }: RequestHead): OwnResponse {
  const shown = Fields.from(fields.filter((lowerName) => !CREDENTIALS.has(lowerName)));
  return { status: 200, text: renderRequestHead(method, target, shown), contentType: "message/http" };
}

const CREDENTIALS = new Set(["authorization", "proxy-authorization", "cookie"]);
