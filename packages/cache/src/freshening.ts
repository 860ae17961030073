import {
  cacheTags,
  type Fields,
  type FreshnessRule,
  fieldsToStore,
  freshnessOf,
  selectFreshened,
  updateStored,
  variantOf,
  withDate,
} from "@proj/protocol";
import { isFor } from "./arriving.ts";
import type { ClientRequest } from "./client-request.ts";
import { renderHeadBlock } from "./head-block.ts";
import type { TieredStorage } from "./storage/tiered-storage.ts";
import { replaces, type StoredResponse } from "./stored-response.ts";

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
 * @param rule What an operator has decided about freshness there.
 */
export function freshen(
  stored: StoredResponse,
  newer: Fields,
  { requestTimeMs, responseTimeMs }: ExchangeTimes,
  rule: FreshnessRule | undefined,
): void {
  stored.fields = fieldsToStore(updateStored(stored.fields, withDate(newer, responseTimeMs)));
  stored.freshness = freshnessOf(stored, requestTimeMs, responseTimeMs, rule);
  stored.headBlock = renderHeadBlock(stored.fields, "ours");
  stored.tags = cacheTags(stored.fields);
  stored.quietUntilMs = 0;
}

/** What a 304, or a 200 to HEAD, came in answer to. */
export interface Validation {
  readonly request: ClientRequest;
  readonly times: ExchangeTimes;
  /** A purge has been since: what it has reached is good for those who asked before it, and stays as the purge left it. */
  readonly isPurged: boolean;
}

/**
 * The stored responses that a 304 speaks of (RFC 9111 section 4.3.4), renewed, most recent last; none when it is to be believed of none of them. It
 * need not be the one that was selected.
 *
 * @param asked Those whose validators were sent.
 */
export function renewByNotModified(
  storage: TieredStorage,
  asked: readonly StoredResponse[],
  newer: Fields,
  validation: Validation,
): StoredResponse[] {
  const { request } = validation;
  const known = [...new Set(asked.map((stored) => asStoredNow(storage, stored)))];
  const indexes = selectFreshened(
    known.map((stored) => stored.fields),
    newer,
  );
  const chosen = indexes.map((index) => known[index]!);
  const answering = chosen.findLast((one) => isFor(request, one.variant, one.fields)) ?? chosen.at(-1);
  return chosen.map((stored) => renew(storage, stored, newer, validation, stored === answering));
}

/** What has taken the place of `stored` meanwhile, if its validators are the same: the one may be gone, the other is as good. */
function asStoredNow(storage: TieredStorage, stored: StoredResponse): StoredResponse {
  if (storage.has(stored)) return stored;
  const isTwin = (other: StoredResponse) =>
    replaces(other, stored) &&
    (["etag", "last-modified"] as const).every((name) => other.fields.get(name) === stored.fields.get(name));
  return storage.lookup(stored.key).findLast(isTwin) ?? stored;
}

/** @param answersThis It is the origin's answer to this very request, also where it was stored for another one. */
export function renew(
  storage: TieredStorage,
  stored: StoredResponse,
  newer: Fields,
  { request, times, isPurged }: Validation,
  answersThis: boolean,
): StoredResponse {
  // What is no longer stored, or was purged, is renewed for those who wait, and changes nothing for anybody else.
  const isKept = !isPurged && storage.has(stored);
  const renewed = isKept ? stored : { ...stored };
  if (isKept) storage.renewed(stored);
  freshen(renewed, newer, times, request.rule);
  if (!answersThis) return renewed;
  const variant = variantOf(request.fields, renewed.fields, request.rule?.headers);
  if (variant !== undefined) renewed.variant = variant;
  if (!isKept) return renewed;
  if (variant === undefined) storage.invalidate(request.key, stored); // from now on nothing will ever match it
  for (const other of storage.lookup(request.key)) {
    if (other !== renewed && replaces(renewed, other)) storage.invalidate(request.key, other);
  }
  return renewed;
}
