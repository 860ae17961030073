import type { OriginError } from "@proj/origin";
import type { RefusalReason } from "./response-sink.ts";

/** What a client is told when there is no response of the origin's: RFC 9110 section 15.6, and why by RFC 9209. */
export interface GatewayFault {
  readonly status: 502 | 503 | 504;
  /** An error type of RFC 9209 section 2.3. */
  readonly error: string;
  readonly text: string;
}

/** What an exchange's failure is to the client. */
export function faultOf(error: OriginError): GatewayFault {
  switch (error.code) {
    case "ERR_ORIGIN_CONNECT":
      return { status: 502, error: CONNECT_ERROR[error.connectFailure], text: "The origin could not be reached" };
    case "ERR_ORIGIN_TLS":
      return { status: 502, error: "tls_protocol_error", text: "No TLS session with the origin" };
    case "ERR_ORIGIN_TIMEOUT":
      return { status: 504, error: "http_response_timeout", text: "The origin did not answer in time" };
    case "ERR_ORIGIN_CUT_SHORT":
      return { status: 502, error: "http_response_incomplete", text: "The origin closed before it had answered" };
    case "ERR_ORIGIN_MALFORMED":
      return { status: 502, error: "http_protocol_error", text: "The origin's response can not be read" };
    case "ERR_ORIGIN_POOL_FULL":
      return { status: 503, error: "connection_limit_reached", text: "Too many requests are at the origin already" };
    case "ERR_ORIGIN_CLOSED":
      return { status: 503, error: "proxy_internal_error", text: "The proxy stops" };
  }
}

/** The same for what the cache says; undefined where the refusal is no fault behind us. */
export function errorTypeOf(reason: RefusalReason): string | undefined {
  switch (reason) {
    case "origin-error":
    case "unvalidated":
      return CONNECT_ERROR.unreachable;
    case "origin-refused":
      return CONNECT_ERROR.refused;
    case "origin-unknown":
      return CONNECT_ERROR["no-such-host"];
    case "origin-tls":
      return "tls_protocol_error";
    case "origin-malformed":
      return "http_protocol_error";
    case "origin-timeout":
      return "http_response_timeout";
    case "cut-short":
      return "http_response_incomplete";
    case "overloaded":
    case "pending":
    case "cancelled":
    case "refused":
      return "proxy_internal_response";
    default:
      return undefined;
  }
}

/** The field's value: this proxy, and the error's type. */
export function renderProxyStatus(error: string): string {
  return `webproxy; error=${error}`;
}

const CONNECT_ERROR: Record<OriginError["connectFailure"], string> = {
  refused: "connection_refused",
  "no-such-host": "dns_error",
  unreachable: "destination_unavailable",
};
