import {
  cacheTags,
  type Fields,
  type FreshnessRule,
  fieldsToStore,
  freshnessOf,
  selectFreshened,
  storable,
  updateStored,
  withDate,
} from "@proj/protocol";
import { isFor } from "./arriving.ts";
import type { ClientRequest } from "./client-request.ts";
import { variantFor } from "./error-variant.ts";
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
  /** See {@link StoredResponse}. */
  readonly filledAfter: number;
}

/** A stored response after a newer message about it. */
export interface Renewed {
  /** What those who waited get. */
  readonly response: StoredResponse;
  /** Whether others than who asked may have it. */
  readonly isForOthers: boolean;
  /** It may be stored no longer: to be called once those who waited have got it. Returns what that was; undefined when it may. */
  readonly drop: () => StoredResponse | undefined;
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
): Renewed[] {
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

/** What one of those who waited gets of what was renewed: a stored response, or none of them, and then what another look brings, or a request of its own. */
export function answerAmong(
  renewed: readonly Pick<Renewed, "response" | "isForOthers">[],
  request: ClientRequest,
  hasAsked: boolean,
): StoredResponse | "look-again" | "alone" {
  const found = renewed.findLast(({ response, isForOthers }) => {
    const mayHave = isForOthers || hasAsked;
    return mayHave && isFor(request, response.variant, response.fields);
  });
  if (found !== undefined) return found.response;
  return renewed.every(({ isForOthers }) => isForOthers) ? "look-again" : "alone";
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
  { request, times, isPurged, filledAfter }: Validation,
  answersThis: boolean,
): Renewed {
  // What is no longer stored, or was purged, is renewed for those who wait, and changes nothing for anybody else.
  const isStored = !isPurged && storage.has(stored);
  const becomes = renewalOf(stored, newer, request, times.responseTimeMs);
  const isKept = isStored && becomes === "stored";
  const response = isKept ? stored : { ...stored };
  if (isKept) storage.renewed(stored);
  freshen(response, newer, times, request.rule);
  response.filledAfter = filledAfter;
  const variant = answersThis ? variantFor(request, response.status, response.fields) : undefined;
  if (variant !== undefined) response.variant = variant;
  if (isKept && answersThis) {
    for (const other of storage.lookup(request.key)) {
      if (other !== response && replaces(response, other)) storage.invalidate(request.key, other);
    }
  }
  const drop = () => {
    if (becomes !== "dropped") return undefined;
    if (isStored) storage.invalidate(stored.key, stored);
    return stored;
  };
  return { response, isForOthers: becomes === "stored", drop };
}

/**
 * What a newer message about a stored response makes of it: a 304 may say `private` or `no-store` where its 200 had not (RFC 9111 sections 3, 5.2.2),
 * and what one client's request keeps from being stored (3.5, 5.2.1.5) leaves what is stored as it is.
 */
export function renewalOf(
  { status, fields }: StoredResponse,
  newer: Fields,
  request: ClientRequest,
  responseTimeMs: number,
): "stored" | "dropped" | "untouched" {
  const message = { status, fields: updateStored(fields, withDate(newer, responseTimeMs)) };
  const outcome = storable({ method: "GET", fields: request.fields }, message, request.rule);
  if (outcome.storable) return "stored";
  return outcome.reason === "authorization" || outcome.reason === "request-no-store" ? "untouched" : "dropped";
}
