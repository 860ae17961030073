import { forbidsStale, sameStrongValidator, ttlMs } from "@proj/protocol";
import type { Entry, SharedTier } from "@proj/shared-tier";
import { isWhole, type Selectable } from "../selection.ts";
import { parseMeta, renderMeta } from "../storage/entry-tail.ts";
import type { StoredResponse } from "../stored-response.ts";

/** A response as the shared tier holds it, its times by this node's clock. */
export interface SharedResponse extends Selectable {
  readonly entry: Entry;
  readonly status: number;
  readonly tags: readonly string[];
  readonly filledAfter: number;
}

/** What can be validated is worth a 304 for so long after it has become stale. */
const VALIDATOR_MS = 10 * 60 * 1000;

/** Undefined: another version has written it. */
export function sharedResponseOf(entry: Entry, tier: SharedTier): SharedResponse | undefined {
  try {
    const { variant, status, fields, freshness, tags } = parseMeta(new TextDecoder().decode(entry.description));
    const { bodyBytes, filledAfter } = entry;
    const local = { ...freshness, responseTimeMs: tier.toLocalMs(freshness.responseTimeMs) };
    return { entry, variant, status, fields, freshness: local, tags, bodyBytes, filledAfter };
  } catch {
    return undefined;
  }
}

/** What {@link sharedResponseOf} reads. */
export function describe(stored: StoredResponse, tier: SharedTier): Uint8Array {
  const { key, variant, status, fields, tags } = stored;
  const freshness = { ...stored.freshness, responseTimeMs: tier.toEngineMs(stored.freshness.responseTimeMs) };
  return Buffer.from(
    renderMeta({ key, variant, status, fields, tags, freshness, purgesSeen: 0, filledAfter: 0, sharedAs: 0 }),
  );
}

/** How long others can use it: while it is fresh, as long as it may be sent stale, and while validating it may be worth it. */
export function liveMsOf({ freshness, fields }: StoredResponse, nowMs: number): number {
  const { control } = freshness;
  const { staleWhileRevalidateSeconds = 0, staleIfErrorSeconds = 0 } = control;
  const staleMs = forbidsStale(control) ? 0 : 1000 * Math.max(staleWhileRevalidateSeconds, staleIfErrorSeconds);
  const hasValidator = fields.has("etag") || fields.has("last-modified");
  return Math.max(0, ttlMs(freshness, nowMs)) + Math.max(staleMs, hasValidator ? VALIDATOR_MS : 0);
}

/** Whether what is stored here has the very body that the shared tier has. */
export function isSameBody(response: SharedResponse, stored: StoredResponse, nowMs: number): boolean {
  if (!isWhole(stored) || stored.bodyBytes !== response.bodyBytes || stored.status !== response.status) return false;
  if (stored.variant.varyKey !== response.variant.varyKey) return false;
  const isItsCopy = stored.sharedAs === writingOf(response.entry);
  return isItsCopy || sameStrongValidator(stored.fields, response.fields, nowMs);
}

/**
 * Which writing of the shared tier a response is, in 52 bits: of this body, at this time. (The time alone would not do: two nodes may write in the same
 * millisecond, and whoever took the one for the other would send one's fields with the other's body.)
 */
export function writingOf({ body, writtenAtMs }: Pick<Entry, "body" | "writtenAtMs">): number {
  return Number(Bun.hash.xxHash3(`${body} ${writtenAtMs}`) >> 12n) || 1;
}
