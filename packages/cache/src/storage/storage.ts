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
  /** What is stored has a slot each, a number above 0 and below this. */
  readonly slotsEnd: number;
  /** What is stored in this slot: by walking through all of them everything is seen that is there all the time. Nothing, where another tier answers for it. */
  responseAt(slot: number): StoredResponse | undefined;
  /** Where `response` is stored, also when another object stands for that meanwhile. */
  slotOf(response: StoredResponse): number | undefined;
  has(response: StoredResponse): boolean;
  /**
   * `response` has been had from here, and is about to be used or changed. Where it is stored, it is what {@link lookup} finds from now on, should another
   * object stand for the same meanwhile, and its body is the one that is stored.
   */
  adopt(response: StoredResponse): void;
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
