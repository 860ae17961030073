import {
  currentAgeMs,
  type ForwardReason,
  type Freshness,
  renderCacheStatus,
  reuseOnError,
  ttlMs,
} from "@proj/protocol";
import type { ClientRequest } from "../client-request.ts";
import { isForSameWords } from "../error-variant.ts";
import { isQuiet } from "../origin-failure.ts";
import { isWhole, requestControl, type Selection } from "../selection.ts";
import type { StoredResponse } from "../stored-response.ts";
import { WHOLE_REQUEST } from "../whole-request.ts";
import type { Because, ExplainedFate, ExplainedOutcome, ExplainedResponse, Explanation } from "./explanation.ts";
import { type NotStoredReason, whyFresh, whyNotStored, whyOnError, whyStale, whyValidated } from "./reasons.ts";

/** What a shard knows that bears on a request. */
export interface Known {
  readonly request: ClientRequest;
  readonly variants: readonly StoredResponse[];
  readonly selection: Selection;
  /** Why the origin would be asked, in the words of RFC 9211. */
  readonly forwardReason: Exclude<ForwardReason, "bypass">;
  readonly tierOf: (stored: StoredResponse) => "memory" | "disk";
  readonly mayBeHot: boolean;
  /** A purge may have been missed that concerns what was selected. */
  readonly isDoubtful: boolean;
  /** Somebody else's fetch is under way that it would wait for. */
  readonly wouldWait: boolean;
  /** For how long responses for the key are taken to be unfit for others. */
  readonly passMs: number;
  readonly fate: Fate | undefined;
  readonly nowMs: number;
}

/** What became of the last response for a key: it was not stored. */
export interface Fate {
  readonly atMs: number;
  readonly status: number;
  readonly reason: NotStoredReason;
}

/** What would happen to a request now, and why: the decisions of `Shard.decide`, told instead of carried out. */
export function explain(known: Known): Explanation {
  const { request, variants, fate, nowMs } = known;
  const { outcome, cacheStatus, because } = decisionOn(known);
  const selected = known.selection.kind === "none" ? undefined : known.selection.stored;
  const stored = variants.map((one) => explained(one, one === selected, known.tierOf(one), nowMs));
  const lastFetch = fate === undefined || variants.length > 0 ? undefined : explainedFate(fate, nowMs);
  return {
    outcome,
    ...(cacheStatus !== undefined && { cacheStatus }),
    because,
    key: request.key,
    site: request.site.settings.name,
    stored,
    ...(lastFetch !== undefined && { lastFetch }),
  };
}

type Decision = Pick<Explanation, "because"> & { outcome: ExplainedOutcome; cacheStatus?: string };

const forwarded = (reason: ForwardReason): string => renderCacheStatus({ forwarded: reason });

function decisionOn(known: Known): Decision {
  const { request, selection } = known;
  if (request.ruling.bypass) {
    const why =
      request.ruling.rule === undefined
        ? { text: "its path can be read in several ways, and the site has rules about paths: nothing is stored for it" }
        : { text: `an operator's rule says so (bypass, for ${request.ruling.rule.settings.paths.join(", ")})` };
    return { outcome: "pass", cacheStatus: forwarded("bypass"), because: [why] };
  }
  if (selection.kind === "stored") return decisionOnStored(known, selection);
  const missing = whyMissing(known, selection);
  if (requestControl(request).onlyIfCached) return notStored([missing]);
  return fetching(known, [missing]);
}

function notStored(because: readonly Because[]): Decision {
  const only = {
    text: "the client takes nothing but what is stored, so it gets a 504",
    directive: "only-if-cached",
    rfc: "RFC 9111 section 5.2.1.7",
  };
  return { outcome: "not-stored", because: [...because, only] };
}

function whyMissing({ variants, request }: Known, selection: Exclude<Selection, { kind: "stored" }>): Because {
  if (selection.kind === "incomplete") {
    return {
      text: "only parts of it are stored, and bytes are missing that the client wants",
      rfc: "RFC 9111 section 3.3",
    };
  }
  if (selection.reason === "uri-miss") return { text: "nothing is stored under its key", rfc: "RFC 9111 section 4" };
  const names = [...new Set(variants.flatMap(({ variant }) => variant.varyNames))].filter(
    (name) => name !== WHOLE_REQUEST,
  );
  if (variants.every(({ variant }) => isForSameWords(variant))) {
    return {
      text: "what is stored is an error, which answers only requests that say in every field what the one said that got it",
    };
  }
  const rule = request.rule?.headers ?? [];
  if (names.length === 0) {
    return {
      text: "what is stored is in a coding, or a range, that this client did not ask for",
      directive: "Accept-Encoding",
      rfc: "RFC 9110 section 12.5.3",
    };
  }
  return {
    text: `what is stored answers requests that say something else in ${names.join(", ")}${rule.length > 0 ? ` (by an operator's rule also ${rule.join(", ")})` : ""}`,
    directive: `Vary: ${names.join(", ")}`,
    rfc: "RFC 9111 section 4.1",
  };
}

/** The origin would be asked. */
function fetching(known: Known, because: readonly Because[]): Decision {
  const { request, passMs, wouldWait, selection } = known;
  const why = [...because];
  if (request.method === "HEAD" && selection.kind !== "stored") {
    why.push({
      text: "the HEAD goes to the origin as it is, and its answer is not stored",
      rfc: "RFC 9111 section 4.3.5",
    });
  } else if (passMs > 0 && selection.kind === "none") {
    why.push({
      text: `the last response could not be stored, so that for another ${Math.ceil(passMs / 1000)} s such requests do not wait for one another`,
    });
  } else if (wouldWait) {
    why.push({
      text: "another request for it is at the origin already: it would wait for that one",
      rfc: "RFC 9111 section 4",
    });
  }
  return { outcome: "fetch", cacheStatus: forwarded(known.forwardReason), because: why };
}

function decisionOnStored(known: Known, selection: Extract<Selection, { kind: "stored" }>): Decision {
  const { stored, reuse } = selection;
  const { freshness } = stored;
  switch (reuse.use) {
    case "fresh":
      return hit("hit", known, freshness, [
        { text: "a stored response is fresh", rfc: "RFC 9111 section 4.2" },
        whyFresh(freshness),
        ...hotToo(known),
      ]);
    case "stale":
      return hit("stale", known, freshness, [
        { text: "what is stored is stale", rfc: "RFC 9111 section 4.2" },
        whyFresh(freshness),
        whyStale(reuse.reason),
      ]);
    case "gateway-timeout":
      return notStored([whyValidated(reuse.reason, freshness)]);
    case "validate":
      return validating(known, stored, whyValidated(reuse.reason, freshness), reuse.reason === "stale");
  }
}

function hotToo({ mayBeHot }: Known): Because[] {
  if (!mayBeHot) return [];
  return [{ text: "a proxy thread that has it in its hot tier answers without asking the cache" }];
}

function hit(outcome: "hit" | "stale", { nowMs }: Known, freshness: Freshness, because: readonly Because[]): Decision {
  return { outcome, cacheStatus: renderCacheStatus({ hit: true, ttlMs: ttlMs(freshness, nowMs) }), because };
}

function validating(known: Known, stored: StoredResponse, why: Because, isStale: boolean): Decision {
  const { request, nowMs, isDoubtful } = known;
  const { freshness, fields, quietUntilMs } = stored;
  const onError = reuseOnError(freshness, requestControl(request), { kind: "unreachable" }, nowMs, isDoubtful);
  if (isStale && isQuiet(quietUntilMs, nowMs) && onError.use === "stale") {
    const quiet = { text: "the origin has just failed, and is left alone for a moment" };
    return hit("stale", known, freshness, [why, quiet, whyOnError(onError.reason)]);
  }
  const etag = fields.get("etag");
  const modified = fields.get("last-modified");
  const condition =
    etag !== undefined
      ? {
          text: "the origin is asked whether it is still the same",
          directive: `If-None-Match: ${etag}`,
          rfc: "RFC 9111 section 4.3.1",
        }
      : modified !== undefined
        ? {
            text: "the origin is asked whether it has changed",
            directive: `If-Modified-Since: ${modified}`,
            rfc: "RFC 9111 section 4.3.1",
          }
        : { text: "it has no validator: the origin is asked for all of it", rfc: "RFC 9111 section 4.3.1" };
  return {
    outcome: "validate",
    cacheStatus: forwarded(known.forwardReason),
    because: [why, ...(isStale ? [whyFresh(freshness)] : []), condition, whyOnError(onError.reason)],
  };
}

function explained(
  stored: StoredResponse,
  isSelected: boolean,
  tier: "memory" | "disk",
  nowMs: number,
): ExplainedResponse {
  const { status, bodyBytes, freshness, variant, tags, fields } = stored;
  const named = (name: string) => fields.get(name);
  const [etag, lastModified, cacheControl] = [named("etag"), named("last-modified"), named("cache-control")];
  return {
    isSelected,
    status,
    bodyBytes,
    isWhole: isWhole(stored),
    tier,
    ageSeconds: Math.floor(currentAgeMs(freshness, nowMs) / 1000),
    ttlSeconds: Math.floor(ttlMs(freshness, nowMs) / 1000),
    lifetime: whyFresh(freshness),
    varyNames: variant.varyNames,
    varyKey: variant.varyKey,
    tags,
    ...(etag !== undefined && { etag }),
    ...(lastModified !== undefined && { lastModified }),
    ...(cacheControl !== undefined && { cacheControl }),
  };
}

function explainedFate({ atMs, status, reason }: Fate, nowMs: number): ExplainedFate {
  return { secondsAgo: Math.max(0, Math.floor((nowMs - atMs) / 1000)), status, because: whyNotStored(reason) };
}
