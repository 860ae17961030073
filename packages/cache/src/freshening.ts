import { cacheTags, type Fields, fieldsToStore, freshnessOf, updateStored, withDate } from "@proj/protocol";
import { renderHeadBlock } from "./head-block.ts";
import type { StoredResponse } from "./stored-response.ts";

/** When an exchange with the origin began, and when its head was there: wall clock. */
export interface ExchangeTimes {
  readonly requestTimeMs: number;
  readonly responseTimeMs: number;
}

/**
 * A stored response takes over what a newer message about the same representation says (RFC 9111 sections 3.2, 4.3.4, 4.3.5): a 304, a 200 to
 * HEAD, another part. Tell the storage before.
 *
 * @param newer Its end-to-end fields.
 */
export function freshen(stored: StoredResponse, newer: Fields, { requestTimeMs, responseTimeMs }: ExchangeTimes): void {
  stored.fields = fieldsToStore(updateStored(stored.fields, withDate(newer, responseTimeMs)));
  stored.freshness = freshnessOf(stored, requestTimeMs, responseTimeMs);
  stored.headBlock = renderHeadBlock(stored.fields, "ours");
  stored.tags = cacheTags(stored.fields);
  stored.quietUntilMs = 0;
}
