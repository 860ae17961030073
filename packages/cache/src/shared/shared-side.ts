import type { CacheCounter, Counters } from "@proj/protocol";
import type { Lease, LoggedPurge, LogState, SharedTier } from "@proj/shared-tier";
import type { ClientRequest } from "../client-request.ts";
import type { FillAsk } from "../fill-ask.ts";
import { type KeySelector, keyMatch } from "../key-selector.ts";
import { isWhole } from "../selection.ts";
import type { TieredStorage } from "../storage/tiered-storage.ts";
import type { StoredResponse } from "../stored-response.ts";
import { describe, isSameBody, liveMsOf, type SharedResponse, writingOf } from "./shared-response.ts";
import { SharedSource } from "./shared-source.ts";

/** What a node's end of the purge log has each of its threads know. */
export type SharedNews =
  /** A purge that has been applied to all that is stored here. */
  | { readonly logged: LoggedPurge }
  /** Purges that have been applied already. */
  | { readonly recall: readonly LoggedPurge[] }
  | { readonly forgetBefore: number }
  /** A purge that this node was asked for is in the log: what it concerns may go from the engine. */
  | { readonly makeRoom: readonly KeySelector[] }
  | { readonly state: LogState };

/** The shared tier as one shard uses it. */
export class SharedSide {
  readonly tier: SharedTier;
  readonly storage: TieredStorage;
  readonly counters: Counters<CacheCounter>;
  readonly nowMs: () => number;
  readonly monotonicMs: () => number;
  readonly #isSpeaker: boolean;
  #validFrom = 0;

  /** @param options.isSpeaker Of what all shards are told, this one tells the other nodes. */
  constructor(options: {
    tier: SharedTier;
    isSpeaker: boolean;
    storage: TieredStorage;
    counters: Counters<CacheCounter>;
    nowMs: () => number;
    monotonicMs: () => number;
  }) {
    this.tier = options.tier;
    this.#isSpeaker = options.isSpeaker;
    this.storage = options.storage;
    this.counters = options.counters;
    this.nowMs = options.nowMs;
    this.monotonicMs = options.monotonicMs;
  }

  /** What a fill that begins now is filled after. */
  get sequence(): number {
    return this.tier.sequence;
  }

  /** What was filled after an earlier purge has to be validated. */
  get validFrom(): number {
    return this.#validFrom;
  }

  /** @returns Whether what is stored has become doubtful. */
  hear(news: SharedNews): boolean {
    if ("logged" in news) this.#purged(news.logged);
    else if ("recall" in news) for (const purge of news.recall) this.#purged(purge);
    else if ("forgetBefore" in news) this.tier.forgetBefore(news.forgetBefore);
    else if ("makeRoom" in news) this.#makeRoom(news.makeRoom);
    else return this.#stands(news.state);
    return false;
  }

  /** Nothing that a purge concerns comes back from the shared tier. */
  #purged({ selectors, soft, sequence }: LoggedPurge): void {
    // One that is not in the log yet concerns all that has been filled so far.
    const number = sequence === 0 ? this.sequence + 0.5 : sequence;
    for (const selector of selectors) this.tier.purged(selector, keyMatch(selector), soft, number);
    if (sequence > 0) this.tier.applied(sequence);
  }

  /** A request has changed what the selector names: this shard is told, and, of a tag, every other. @param wasStored It may be at other nodes too. */
  changed(selector: KeySelector, wasStored: boolean): void {
    this.tier.purged(selector, keyMatch(selector), false, this.sequence + 0.5);
    if (selector.by === "key" || this.#isSpeaker) this.tier.changed(selector, wasStored);
  }

  /** The origin's answer has ended the use of `stored`: no node gets it from the engine any more. */
  superseded({ key, variant }: Pick<StoredResponse, "key" | "variant">): void {
    this.tier.dropVariant(key, variant.varyKey);
  }

  /** Undefined where the shared tier has no part in what is asked. */
  sourceFor(request: ClientRequest, ask: FillAsk): SharedSource | undefined {
    if (request.method !== "GET" || ask.kind === "as-sent" || ask.kind === "rest") return undefined;
    return new SharedSource(this, request, ask);
  }

  #makeRoom(selectors: readonly KeySelector[]): void {
    if (this.#isSpeaker) for (const selector of selectors) void this.tier.makeRoom(selector);
  }

  #stands(state: LogState): boolean {
    this.tier.hear(state);
    const isNews = state.validFrom !== this.#validFrom;
    this.#validFrom = state.validFrom;
    this.counters.set("sharedAloneOpen", state.isJoined ? 0 : 1);
    return isNews;
  }

  /** A response that has come from the origin: others may have it. @param isStored Whether it still is. */
  offer(stored: StoredResponse, lease: Lease | undefined, isStored: () => boolean): void {
    if (!isWhole(stored)) return void lease?.release();
    this.storage.adopt(stored);
    const { body, filledAfter } = stored;
    body.retain();
    this.tier.write({
      key: stored.key,
      varyKey: stored.variant.varyKey,
      bodyBytes: stored.bodyBytes,
      filledAfter,
      liveMs: liveMsOf(stored, this.nowMs()),
      tags: stored.tags,
      describe: () => describe(stored, this.tier),
      read: async (position, into) => {
        for (let done = 0; done < into.length; ) {
          const at = position + done;
          const count = body.read(at, into.subarray(done), "at-hand");
          const loading = count === 0 ? body.load?.(at, into.length - done) : undefined;
          if (count === 0 && loading === undefined) throw new Error(`The body of ${stored.key} ends before byte ${at}`);
          if (loading !== undefined) await loading;
          done += count;
        }
      },
      isWanted: isStored,
      done: (entry) => {
        body.release();
        if (entry !== undefined) stored.sharedAs = writingOf(entry);
      },
      lease,
    });
  }

  /** A validation has renewed a response. @param known What the shared tier had for it. */
  renewed(
    stored: StoredResponse,
    known: SharedResponse | undefined,
    lease: Lease | undefined,
    isStored: () => boolean,
  ): void {
    const { filledAfter } = stored;
    const nowMs = this.nowMs();
    if (known === undefined || !isSameBody(known, stored, nowMs)) return this.offer(stored, lease, isStored);
    this.tier.renew(known.entry, {
      filledAfter,
      liveMs: liveMsOf(stored, nowMs),
      description: describe(stored, this.tier),
      lease,
      done: (entry) => {
        stored.sharedAs = writingOf(entry);
      },
    });
  }
}
