import type { StoredResponse } from "../stored-response.ts";
import type { BodyStore } from "./body-store.ts";

/**
 * One tier: stored responses by key, their bodies, and a limit in bytes that holds at every moment. When a body grows or a response is
 * stored, the tier first evicts others; what can not fit even then is not taken.
 */
export interface Storage {
  readonly limitBytes: number;
  readonly usedBytes: number;
  readonly count: number;
  /** A body longer than this is not taken: it would flush too much of the tier. */
  readonly bodyBytesMax: number;
  /** A place for a body that is about to arrive; undefined when its medium refuses. The caller is its first holder. */
  newBody(expectedBytes: number | undefined): BodyStore | undefined;
  /** All variants of `key`; using one is told by {@link touch}. */
  lookup(key: string): readonly StoredResponse[];
  /** All that is stored, in no promised order; what is invalidated meanwhile may be among it or not. */
  entries(): Iterable<StoredResponse>;
  has(response: StoredResponse): boolean;
  /** @param uses For how many uses this one stands. */
  touch(response: StoredResponse, uses: number): void;
  /** The fields or the freshness of `response` are others now. */
  renewed(response: StoredResponse): void;
  /**
   * Keeps a complete response; it takes the place of the variant that it renews.
   *
   * @returns false when there was no room for it; its body is discarded then.
   */
  store(response: StoredResponse): boolean;
  /** Drops one response, or all variants of a key; returns how many. */
  invalidate(key: string, response?: StoredResponse): number;
  close(): void;
}
