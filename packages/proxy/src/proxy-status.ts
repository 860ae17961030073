import type { OriginError } from "@proj/origin";
import type { RefusalReason } from "./response-sink.ts";

/** What a client is told when there is no response to give: a status of RFC 9110 section 15, and why by RFC 9209. */
export interface GatewayFault {
  readonly status: number;
  /** An error type of RFC 9209 section 2.3; undefined where nothing behind us is the reason. */
  readonly error: string | undefined;
  readonly text: string;
}

/** What a refusal is to an HTTP client, whether the cache has said it or an exchange of ours has failed so. */
export function gatewayFaultOf(reason: RefusalReason): GatewayFault {
  return FAULTS[reason];
}

/** What an exchange's failure is to the client. */
export function faultOf(error: OriginError): GatewayFault {
  return gatewayFaultOf(error.fault);
}

/** The field's value: this proxy, and the error's type. */
export function renderProxyStatus(error: string): string {
  return `webproxy; error=${error}`;
}

const fault = (status: number, error: string | undefined, text: string): GatewayFault => ({ status, error, text });

const UNREACHABLE = "The origin could not be reached";
const LATE = "The origin did not answer in time";
const CLOSED = "The origin closed before it had answered";
const UNREADABLE = "The origin's response can not be read";
const BUSY = "Too busy at the moment";
const OWN = "proxy_internal_response";

const FAULTS: Record<RefusalReason, GatewayFault> = {
  "not-found": fault(404, undefined, "The origin has no such resource"),
  "origin-error": fault(
    502,
    "destination_unavailable",
    "The origin could not be reached, or its response could not be used",
  ),
  "origin-refused": fault(502, "connection_refused", UNREACHABLE),
  "origin-unroutable": fault(502, "destination_ip_unroutable", UNREACHABLE),
  "origin-unknown": fault(502, "dns_error", UNREACHABLE),
  "origin-unresolved": fault(504, "dns_timeout", UNREACHABLE),
  "origin-unconnected": fault(504, "connection_timeout", "The origin did not take the connection in time"),
  "origin-tls": fault(502, "tls_protocol_error", "No TLS session with the origin"),
  "origin-certificate": fault(502, "tls_certificate_error", "No TLS session with the origin"),
  "origin-alert": fault(502, "tls_alert_received", "No TLS session with the origin"),
  "origin-timeout": fault(504, "http_response_timeout", LATE),
  "origin-stalled": fault(504, "connection_read_timeout", LATE),
  "origin-closed": fault(502, "connection_terminated", CLOSED),
  "cut-short": fault(502, "http_response_incomplete", "The origin's response ended before its end"),
  "origin-malformed": fault(502, "http_protocol_error", UNREADABLE),
  "origin-head-size": fault(502, "http_response_header_section_size", UNREADABLE),
  "origin-coding": fault(502, "http_response_transfer_coding", UNREADABLE),
  "origin-busy": fault(503, "connection_limit_reached", "Too many requests are at the origin already"),
  unvalidated: fault(
    504,
    "destination_unavailable",
    "What is stored must not be used without the origin, which can not be reached",
  ),
  refused: fault(503, OWN, "The cache does not know this request, or not any more; it may be sent again"),
  cancelled: fault(503, OWN, "The request was cancelled"),
  overloaded: fault(503, OWN, BUSY),
  pending: fault(503, OWN, BUSY),
  "length-unknown": fault(502, undefined, "The response has no length"),
  "not-stored": fault(504, undefined, "Nothing that is stored answers it, and the request forbids to ask the origin"),
  "request-too-large": fault(431, undefined, "The request's target and fields do not fit into a segment"),
  "cache-away": fault(503, undefined, "The cache is away"),
};
