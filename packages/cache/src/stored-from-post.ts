import {
  cacheTags,
  fieldsToStore,
  freshnessOf,
  type PassedResponse,
  storable,
  stripeOf,
  targetHash,
  variantOf,
} from "@proj/protocol";
import type { CacheSite } from "./cache-site.ts";
import { parseSection } from "./client-request.ts";
import { saidInAnySpelling } from "./field-spellings.ts";
import { renderHeadBlock } from "./head-block.ts";
import type { Storage } from "./storage/storage.ts";
import type { TieredStorage } from "./storage/tiered-storage.ts";
import type { StoredResponse } from "./stored-response.ts";

/**
 * A response to POST as a stored one, and the tier for it; undefined when it may not be stored, or no tier takes it. The caller stores it and
 * releases its body.
 *
 * That Content-Location names the target is the proxy's to check, who knows the public name of the origin.
 */
export function storedFromPost(
  passed: PassedResponse,
  site: CacheSite,
  tiers: TieredStorage,
): { storage: Storage; response: StoredResponse } | undefined {
  const { status, target, content, requestTimeMs, responseTimeMs } = passed;
  const request = parseSection(passed.requestFieldSection);
  const endToEnd = parseSection(passed.fieldSection);
  const message = { status, fields: endToEnd };
  const { rule, bypass } = site.rulingOn(target);
  if (bypass) return undefined;
  const selecting = { get: (lowerName: string) => saidInAnySpelling(request, lowerName) };
  const variant = variantOf(selecting, endToEnd, rule?.settings.headers);
  const ownUri = new URL(site.settings.origins[0]!).origin + target;
  const uri = URL.parse(endToEnd.get("content-location") ?? "", ownUri)?.href ?? ownUri;
  const keyTarget = rule?.keyTarget(target) ?? target;
  const mayStore = variant !== undefined && storable({ method: "POST", fields: request, uri }, message).storable;
  const place = mayStore ? tiers.placeFor(content.length) : undefined;
  if (place === undefined || variant === undefined) return undefined;
  const { storage, body } = place;
  if (content.length > 0 && !body.append(content)) {
    body.discard();
    body.release();
    return undefined;
  }
  const fields = fieldsToStore(endToEnd);
  const response: StoredResponse = {
    key: site.keyPrefix + keyTarget,
    stripe: stripeOf(targetHash(keyTarget)),
    variant,
    status,
    fields,
    headBlock: renderHeadBlock(fields, "ours"),
    freshness: freshnessOf(message, requestTimeMs, responseTimeMs, rule?.settings),
    tags: cacheTags(fields),
    body,
    bodyBytes: content.length,
    quietUntilMs: 0,
    purgesSeen: 0,
    filledAfter: 0,
    sharedAs: 0,
  };
  return { storage, response };
}
