import type { Fields, Freshness, Variant } from "@proj/protocol";
import type { Parts } from "./parts.ts";
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
  /** By which it can be purged. */
  tags: readonly string[];
  /** It may move from one tier to another; what reads it holds on to the one it began with. */
  body: BodyStore;
  /** Length of the whole body, also where only parts of it are there. */
  readonly bodyBytes: number;
  /** The same object as `body`, where that was put together of parts (RFC 9111 section 3.3); some may be missing. */
  readonly parts?: Parts;
  /** A 206 that can not be combined with others: it answers only who sends this very Range. */
  readonly onlyForRange?: string;
  /** The last purge of the deployment that this node had applied when it asked the origin for this; 0: it was in no deployment. */
  filledAfter: number;
  /** Which writing of the shared tier it is the same as, as a number that stands for it; 0: of none. */
  sharedAs: number;
  /** Wall clock: until then the origin is not asked about it again, since it has just failed to answer. */
  quietUntilMs: number;
  /** The number of the last purge before it was stored or renewed: it need not be compared with that one, or any before. */
  purgesSeen: number;
}

/** The objects around a stored response, measured as the growth of the process for each of 80,000 small ones, without what is counted below. */
export const OBJECTS_BYTES = 2_816;

/** What a stored response that is kept as an object weighs beside its body: key, fields, and the objects around them, in bytes. */
export function overheadBytes(response: StoredResponse): number {
  const { key, variant, headBlock } = response;
  return OBJECTS_BYTES + 2 * key.length + 2 * variant.varyKey.length + 3 * headBlock.length;
}

/** Whether `newer` takes the place of `older`, which is stored under the same key. */
export function replaces(newer: StoredResponse, older: StoredResponse): boolean {
  if (newer.variant.varyKey !== older.variant.varyKey) return false;
  return newer.onlyForRange === undefined || newer.onlyForRange === older.onlyForRange;
}
