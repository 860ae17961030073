import {
  acceptsCoding,
  type ContentRange,
  type Fields,
  type Framing,
  type Freshness,
  matchesExactly,
  parseContentLength,
  type ResponseHead,
  type Variant,
} from "@proj/protocol";
import type { ClientRequest } from "./client-request.ts";
import type { Available } from "./reply.ts";

/** A response of which the head is there, and the body is on its way in. */
export interface Arriving extends Available {
  /** Undefined: Vary says that it answers no other request. */
  readonly variant: Variant | undefined;
  readonly freshness: Freshness;
  /** A 206 that is to be kept, and the bytes that it says it brings. */
  readonly part?: ContentRange | undefined;
}

/** Whether a response that is this variant is one for `request` (RFC 9111 section 4.1), in a coding that its client can read. */
export function isFor(request: ClientRequest, variant: Variant, fields: Fields): boolean {
  return matchesExactly(variant, request) && acceptsCoding(request.fields, fields);
}

/** Whether others will be told the same: not an error, which one client's odd request may have provoked, or which passes (CHECKLIST 36). */
export function speaksOfResource(status: number): boolean {
  return status < 400 || status === 404 || status === 410;
}

export function bytesIn({ start, end }: ContentRange): number {
  return end - start;
}

/** Length of the body as its head says; for HEAD the one that GET would have. Undefined while nobody knows it. */
export function bodyBytesOf(method: string, head: ResponseHead, framing: Framing): number | undefined {
  if (framing.kind === "length") return framing.bytes;
  if (framing.kind !== "none") return undefined;
  if (method !== "HEAD") return 0;
  const length = head.fields.get("content-length");
  return length === undefined ? undefined : parseContentLength(length);
}
