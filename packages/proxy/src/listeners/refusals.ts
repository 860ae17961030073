import type { OwnResponse } from "../own-response.ts";
import { errorTypeOf } from "../proxy-status.ts";
import type { RefusalReason } from "../response-sink.ts";

/** What a refusal is to an HTTP client. */
export function refusalOf(reason: RefusalReason): OwnResponse {
  return { status: STATUS_OF[reason], text: TEXT_OF[reason], error: errorTypeOf(reason) };
}

const STATUS_OF: Record<RefusalReason, number> = {
  "not-found": 404,
  "origin-error": 502,
  refused: 503,
  "length-unknown": 502,
  cancelled: 503,
  "cut-short": 502,
  "origin-timeout": 504,
  overloaded: 503,
  pending: 503,
  "not-stored": 504,
  unvalidated: 504,
  "origin-refused": 502,
  "origin-unknown": 502,
  "origin-tls": 502,
  "origin-malformed": 502,
  "request-too-large": 431,
  "cache-away": 503,
};

const TEXT_OF: Record<RefusalReason, string> = {
  "not-found": "The origin has no such resource",
  "origin-error": "The origin could not be reached, or its response could not be used",
  refused: "The cache does not know this request, or not any more; it may be sent again",
  "length-unknown": "The response has no length",
  cancelled: "The request was cancelled",
  "cut-short": "The origin's response ended before its end",
  "origin-timeout": "The origin did not answer in time",
  overloaded: "Too busy at the moment",
  pending: "Too busy at the moment",
  "not-stored": "Nothing that is stored answers it, and the request forbids to ask the origin",
  unvalidated: "What is stored must not be used without the origin, which can not be reached",
  "origin-refused": "The origin could not be reached",
  "origin-unknown": "The origin could not be reached",
  "origin-tls": "No TLS session with the origin",
  "origin-malformed": "The origin's response can not be read",
  "request-too-large": "The request's target and fields do not fit into a segment",
  "cache-away": "The cache is away",
};
