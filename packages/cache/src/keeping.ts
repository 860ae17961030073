import { cacheTags, fieldsToStore, sameStrongValidator, type Variant } from "@proj/protocol";
import { type Arriving, bytesIn } from "./arriving.ts";
import type { ClientRequest } from "./client-request.ts";
import { freshen } from "./freshening.ts";
import type { GrowingBody } from "./growing-body.ts";
import { renderHeadBlock } from "./head-block.ts";
import { Parts } from "./parts.ts";
import { isWhole } from "./selection.ts";
import type { Storage } from "./storage/storage.ts";
import type { TieredStorage } from "./storage/tiered-storage.ts";
import type { StoredResponse } from "./stored-response.ts";

/** A response that is all there, and may be kept. */
export interface Arrived {
  readonly request: ClientRequest;
  readonly requestTimeMs: number;
  readonly response: Arriving;
  readonly variant: Variant;
  readonly body: GrowingBody;
  /** The tier that has its body. */
  readonly tier: Storage;
  /** See {@link StoredResponse}. */
  readonly filledAfter: number;
  readonly sharedAs: number;
}

/** Puts a response into the store, or, for a 206, the part that it brings. Returns the response when it is stored whole. */
export function keepArrived(storage: TieredStorage, arrived: Arrived): StoredResponse | undefined {
  if (arrived.response.status === 206) {
    keepPart(storage, arrived);
    return undefined;
  }
  const stored = storedResponse(arrived);
  return storage.store(arrived.tier, stored) ? stored : undefined;
}

/** What was missing of `stored` is there now. */
export function keepRest(
  storage: TieredStorage,
  stored: StoredResponse,
  { part }: Arriving,
  { store }: GrowingBody,
): void {
  if (part === undefined || !storage.has(stored)) return store.discard();
  storage.renewed(stored);
  stored.parts?.add(part, store);
}

/** RFC 9111 sections 3.3, 3.4: a part joins those of the same representation, or replaces what is older. */
function keepPart(storage: TieredStorage, arrived: Arrived): void {
  const { request, requestTimeMs, response, variant, body, tier } = arrived;
  const { part, responseTimeMs } = response;
  const stored = storage.lookup(request.key).find((one) => one.variant.varyKey === variant.varyKey);
  const completeBytes = part?.completeBytes;
  // Two writers: a whole response that came meanwhile is worth more.
  if (stored !== undefined && isWhole(stored) && stored.freshness.responseTimeMs >= requestTimeMs)
    return body.store.discard();
  if (part === undefined || completeBytes === undefined || body.bytes !== bytesIn(part)) {
    const onlyForRange = request.fields.has("if-range") ? undefined : request.range;
    if (onlyForRange === undefined) return body.store.discard();
    storage.store(tier, { ...storedResponse(arrived), onlyForRange });
    return;
  }
  const joins =
    stored?.parts !== undefined &&
    stored.bodyBytes === completeBytes &&
    sameStrongValidator(stored.fields, response.fields, responseTimeMs);
  if (joins) {
    storage.renewed(stored);
    freshen(stored, response.fields, { requestTimeMs, responseTimeMs }, request.rule);
    stored.filledAfter = Math.min(stored.filledAfter, arrived.filledAfter);
    stored.parts?.add(part, body.store);
    return;
  }
  const parts = new Parts(completeBytes);
  parts.add(part, body.store);
  // What is put together of parts is a 200 that lacks something, not a 206: its own Content-Range goes with the part.
  const fields = response.fields.filter((lowerName) => lowerName !== "content-range");
  const whole = storedResponse({ ...arrived, response: { ...response, status: 200, fields } });
  storage.store(tier, { ...whole, body: parts, parts, bodyBytes: completeBytes });
}

function storedResponse(arrived: Arrived): StoredResponse {
  const { request, response, variant, body, filledAfter, sharedAs } = arrived;
  const { status, freshness } = response;
  const fields = fieldsToStore(response.fields);
  return {
    key: request.key,
    stripe: request.stripe,
    variant,
    status,
    fields,
    headBlock: renderHeadBlock(fields, "ours"),
    freshness,
    tags: cacheTags(fields),
    body: body.store,
    bodyBytes: body.bytes,
    quietUntilMs: 0,
    purgesSeen: 0,
    filledAfter,
    sharedAs,
  };
}
