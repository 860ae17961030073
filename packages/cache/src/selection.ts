import {
  acceptsCoding,
  type CacheControl,
  NO_DIRECTIVES,
  parseCacheControl,
  type Reuse,
  reuse,
  selectVariant,
} from "@proj/protocol";
import type { ClientRequest } from "./client-request.ts";
import type { StoredResponse } from "./stored-response.ts";

/** What the store holds for a request. */
export type Selection =
  | { kind: "none"; reason: "uri-miss" | "vary-miss" }
  | { kind: "stored"; stored: StoredResponse; reuse: Reuse };

export const NONE: Selection = { kind: "none", reason: "uri-miss" };

/** Which of the stored variants answers `request`, and whether it may as it is (RFC 9111 section 4). */
export function select(variants: readonly StoredResponse[], request: ClientRequest, nowMs: number): Selection {
  if (variants.length === 0) return NONE;
  const [only] = variants;
  const anyRequest =
    variants.length === 1 && only!.variant.varyNames.length === 0 && !only!.fields.has("content-encoding");
  const stored = anyRequest ? only : selectByFields(variants, request);
  if (stored === undefined) return { kind: "none", reason: "vary-miss" };
  return { kind: "stored", stored, reuse: reuse(stored.freshness, requestControl(request), nowMs) };
}

function selectByFields(variants: readonly StoredResponse[], request: ClientRequest): StoredResponse | undefined {
  const acceptable = variants.filter((stored) => acceptsCoding(request.fields, stored.fields));
  const index = selectVariant(
    acceptable.map((stored) => stored.variant),
    request.fields,
  );
  return index === undefined ? undefined : acceptable[index];
}

/** The request's own Cache-Control. */
export function requestControl(request: ClientRequest): CacheControl {
  return request.hasDecidingFields ? parseCacheControl(request.fields) : NO_DIRECTIVES;
}
