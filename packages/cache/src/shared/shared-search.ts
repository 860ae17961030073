import { type ByteRange, evaluateRange, madeStale, varyKey } from "@proj/protocol";
import { CHUNK_BYTES, type Entry, type Lease, type LeaseOutcome, type SharedTier } from "@proj/shared-tier";
import type { ClientRequest } from "../client-request.ts";
import { isForSameWords } from "../error-variant.ts";
import type { FillAsk } from "../fill-ask.ts";
import { select } from "../selection.ts";
import type { StoredResponse } from "../stored-response.ts";
import { isSameBody, type SharedResponse, sharedResponseOf, writingOf } from "./shared-response.ts";

/** What is done with a response that was found. */
export type SharedFound =
  /** It answers: all of it, or the range that was asked for. `first`: its first chunk, already here. */
  | { use: "answers"; response: SharedResponse; range: ByteRange; first: Uint8Array | undefined }
  /** It is to be stored here as it is: then what is stored decides, which may be to validate it. */
  | { use: "imports"; response: SharedResponse; range: ByteRange; first: Uint8Array | undefined }
  /** It is what is stored here, renewed by another node. */
  | { use: "freshens"; response: SharedResponse; stored: StoredResponse };

/** A stale response longer than this is not fetched to be validated. */
const IMPORT_BYTES_MAX = 8 * 1024 * 1024;
/** Looking again while another node asks the origin: soon at first, then less often. */
const FIRST_WAIT_MS = 5;
const WAIT_MS_MAX = 100;
const WAIT_GROWTH = 1.5;
/** So long others are waited for, however alive. */
const PATIENCE_MS = 10_000;
const CLOCK_SLACK_MS = 1_000;

/** One fill's way through the shared tier: what is there, or whose turn it is to ask the origin. */
export class SharedSearch {
  readonly #tier: SharedTier;
  readonly #request: ClientRequest;
  readonly #ask: FillAsk;
  readonly #clock: { readonly nowMs: () => number; readonly monotonicMs: () => number };
  readonly #onWait: () => void;
  #lease: Lease | undefined;
  #newest: SharedResponse | undefined;

  constructor(options: {
    tier: SharedTier;
    request: ClientRequest;
    ask: FillAsk;
    nowMs: () => number;
    monotonicMs: () => number;
    onWait: () => void;
  }) {
    this.#tier = options.tier;
    this.#request = options.request;
    this.#ask = options.ask;
    this.#clock = options;
    this.#onWait = options.onWait;
  }

  /** What the tier holds for this request, though it was of no use: a 304 may renew it. */
  get unusable(): SharedResponse | undefined {
    return this.#newest;
  }

  /** The leave to ask the origin, where this node has it. Who takes it ends it. */
  takeLease(): Lease | undefined {
    const lease = this.#lease;
    this.#lease = undefined;
    return lease;
  }

  /** Undefined: the origin is to be asked. */
  async find(isWanted: () => boolean): Promise<SharedFound | undefined> {
    const untilMs = this.#clock.monotonicMs() + PATIENCE_MS;
    for (let waitMs = 0; ; waitMs = Math.min(WAIT_MS_MAX, Math.max(FIRST_WAIT_MS, waitMs * WAIT_GROWTH))) {
      if (waitMs > 0) await Bun.sleep(waitMs);
      if (!isWanted() || this.#clock.monotonicMs() > untilMs) return undefined;
      const looked = await this.#tier.lookUp(this.#request.key);
      if (looked === undefined) return undefined;
      const found = await this.#choose(looked.entries);
      if (found !== undefined) return found;
      // What is there may be for others, purged, or over.
      const outcome = looked.lease.kind === "nobody" ? await this.#leaseForVariant() : looked.lease;
      if (outcome?.kind === "us") this.#lease = outcome.lease;
      if (outcome?.kind !== "other") return undefined;
      if (waitMs === 0) this.#onWait();
    }
  }

  /** What is there varies as it says; others ask for other variants at the same time. */
  #leaseForVariant(): Promise<LeaseOutcome | undefined> {
    const newest = this.#newest?.variant;
    // An error says nothing of what others ask for.
    const names = newest === undefined || isForSameWords(newest) ? [] : newest.varyNames;
    return this.#tier.lease(this.#request.key, varyKey(names, this.#request));
  }

  async #choose(entries: readonly Entry[]): Promise<SharedFound | undefined> {
    const nowMs = this.#clock.nowMs();
    const responses = entries.flatMap((entry) => this.#usable(entry, nowMs) ?? []);
    this.#newest = responses.at(-1);
    const selection = select(responses, this.#request, nowMs, 0);
    if (selection.kind !== "stored") return undefined;
    const response = selection.stored;
    this.#newest = response;
    const here = this.#ask.kind === "whole" || this.#ask.kind === "range" ? this.#ask.selected : undefined;
    if (here !== undefined && !isNewer(response, here)) return undefined;
    if (selection.reuse.use !== "fresh") return await this.#import(response);
    if (here !== undefined && isSameBody(response, here, nowMs)) return { use: "freshens", response, stored: here };
    const range = this.#rangeOf(response, nowMs);
    return range === undefined ? undefined : await this.#withFirst("answers", response, range);
  }

  /** As the purges that this node knows of leave it. */
  #usable(entry: Entry, nowMs: number): SharedResponse | undefined {
    const response = sharedResponseOf(entry, this.#tier);
    if (response === undefined) return undefined;
    const verdict = this.#tier.verdictOn(this.#request.key, response.tags, response.filledAfter);
    if (verdict === "purged") return undefined;
    return verdict === "good" ? response : { ...response, freshness: madeStale(response.freshness, nowMs) };
  }

  #import(response: SharedResponse): Promise<SharedFound | undefined> | undefined {
    if (response.bodyBytes > IMPORT_BYTES_MAX) return undefined;
    return this.#withFirst("imports", response, { start: 0, end: response.bodyBytes });
  }

  /** Which bytes of it are wanted; undefined when only the origin can say. */
  #rangeOf({ fields, bodyBytes, status }: SharedResponse, nowMs: number): ByteRange | undefined {
    const whole = { start: 0, end: bodyBytes };
    if (this.#ask.kind !== "range" || status !== 200) return whole;
    const outcome = evaluateRange(this.#request, fields, bodyBytes, nowMs);
    if (outcome.kind === "single") return outcome.range;
    return outcome.kind === "unsatisfiable" ? undefined : whole;
  }

  /** With its first chunk here, nothing has been promised that is not there. */
  async #withFirst(
    use: "answers" | "imports",
    response: SharedResponse,
    range: ByteRange,
  ): Promise<SharedFound | undefined> {
    if (range.start === range.end) return { use, response, range, first: undefined };
    const first = await this.#tier.readChunk(response.entry, Math.floor(range.start / CHUNK_BYTES));
    return first === undefined ? undefined : { use, response, range, first };
  }
}

function isNewer(response: SharedResponse, here: StoredResponse): boolean {
  if (here.sharedAs === writingOf(response.entry)) return false;
  // The clocks of the nodes are compared through the engine's, which takes the length of a message.
  return response.freshness.responseTimeMs > here.freshness.responseTimeMs + CLOCK_SLACK_MS;
}
