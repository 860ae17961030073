import type { Fields, Freshness, Variant } from "@proj/protocol";
import type { BodyStore } from "./storage/body-store.ts";

/** One representation as it is kept: RFC 9111 section 3. Validation renews its fields and freshness, never its body. */
export interface StoredResponse {
  readonly key: string;
  /** The stripe that is bumped when anything about this response changes. */
  readonly stripe: number;
  /** Which requests it answers; a 304 may change it. */
  variant: Variant;
  readonly status: number;
  fields: Fields;
  /** The fields as they go out: lines and the closing CRLF. */
  headBlock: Uint8Array;
  freshness: Freshness;
  readonly body: BodyStore;
  readonly bodyBytes: number;
}

/** What a stored response weighs beside its body: key, fields, and the objects around them, in bytes. */
export function overheadBytes(response: StoredResponse): number {
  const { key, variant, headBlock } = response;
  return 512 + 2 * key.length + 2 * variant.varyKey.length + 3 * headBlock.length;
}
