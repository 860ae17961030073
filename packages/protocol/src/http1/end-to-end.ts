import { gatewayName } from "./field-names.ts";
import type { Fields } from "./fields.ts";
import { listElements } from "./list.ts";
import { ofSameFields } from "./of-same-fields.ts";

/** Fields that concern one connection only (RFC 9110 section 7.6.1), whether Connection names them or not. */
const HOP_BY_HOP = new Set([
  ...["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "http2-settings"],
  // Proxy-Status (RFC 9209) is for the client and stays.
  ...["proxy-connection", "proxy-authenticate", "proxy-authorization", "proxy-authentication-info"],
]);

/**
 * Fields that stay although Connection names them. RFC 9110 section 7.6.1: a sender "MUST NOT send a connection option
 * corresponding to a field that is intended for all recipients of the content"; who does so wants the next hop to see
 * another message than this one did: another resource, another length, no credentials, no address of the client.
 */
const ALWAYS_END_TO_END = new Set([
  ...[
    "host",
    "content-length",
    "content-type",
    "content-encoding",
    "content-range",
    "content-location",
    "content-language",
  ],
  ...["cache-control", "cdn-cache-control", "surrogate-control", "pragma", "age", "date", "expires", "vary", "etag"],
  ...[
    "last-modified",
    "accept",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "authorization",
    "cookie",
    "set-cookie",
  ],
  ...["range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "expect", "origin"],
  ...[
    "max-forwards",
    "location",
    "retry-after",
    "www-authenticate",
    "server",
    "user-agent",
    "referer",
    "via",
    "forwarded",
  ],
  ...[
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "cache-status",
    "proxy-status",
    "strict-transport-security",
  ],
]);

/**
 * The fields that go on to the next hop, in their order and case: without Connection, what it names, and what belongs to
 * one hop. Content-Length stays; whoever frames the body anew sets it.
 *
 * @param keep Which of them are wanted, by the name in lower case and its `gatewayName`. Default: all; what is returned then may be given to others too, and is not to be changed.
 */
export function endToEndFields(fields: Fields, keep?: Keep): Fields {
  return keep === undefined ? allEndToEnd(fields) : wanted(fields, keep);
}

type Keep = (lowerName: string, gatewayName: string) => boolean;

const allEndToEnd = ofSameFields((fields) => wanted(fields, () => true));

function wanted(fields: Fields, keep: Keep): Fields {
  const named = namedByConnection(fields);
  const removed = named.length === 0 ? undefined : new Set(named);
  return fields.filter((lowerName) => {
    // However spelled: `Transfer_Encoding` frames nothing here, and must not anywhere behind.
    const name = gatewayName(lowerName);
    return !HOP_BY_HOP.has(name) && removed?.has(lowerName) !== true && keep(lowerName, name);
  });
}

const NOTHING: readonly string[] = [];

function namedByConnection(fields: Fields): readonly string[] {
  const connection = fields.get("connection");
  if (connection === undefined || connection === "keep-alive" || connection === "close") return NOTHING; // nearly all there is
  return listElements(fields, "connection").filter(isRemovable);
}

/** Whether a connection option takes a field away that would stay without it. */
function isRemovable(option: string): boolean {
  return !HOP_BY_HOP.has(option) && !ALWAYS_END_TO_END.has(option) && option !== "close";
}
