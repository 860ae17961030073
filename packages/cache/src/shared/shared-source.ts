import type { OriginHandler } from "@proj/origin";
import {
  type ByteRange,
  cacheTags,
  currentAgeMs,
  type Fields,
  type Freshness,
  renderContentRange,
  ttlMs,
} from "@proj/protocol";
import type { Lease } from "@proj/shared-tier";
import type { Arriving } from "../arriving.ts";
import type { ClientRequest } from "../client-request.ts";
import type { FillAsk } from "../fill-ask.ts";
import { GrowingBody } from "../growing-body.ts";
import { renderHeadBlock } from "../head-block.ts";
import type { Handling } from "../reply.ts";
import type { BodyStore } from "../storage/body-store.ts";
import type { StoredResponse } from "../stored-response.ts";
import { SharedRead } from "./shared-read.ts";
import { SharedRecovery } from "./shared-recovery.ts";
import { type SharedResponse, writingOf } from "./shared-response.ts";
import { type SharedFound, SharedSearch } from "./shared-search.ts";
import type { SharedSide } from "./shared-side.ts";

/** The fill that a source belongs to. */
export interface SharedFill {
  /** The shared tier has nothing for it: the origin is to be asked. */
  missed(): void;
  /** A response is there; its body follows by `take`, and `end` or `cut`. */
  begin(response: Arriving, body: GrowingBody): void;
  take(bytes: Uint8Array): void;
  end(): void;
  /** The rest of the body is not to be had. */
  cut(): void;
  /** Asks the origin for the whole, for `handler`; the source is no longer what the fill reads from. */
  askAnew(handler: OriginHandler): void;
  /** What is stored here has changed: whoever waits is to look there. */
  decideAnew(): void;
  /** A purge has been that concerns it. */
  isPurged(): boolean;
}

/** Where a fill's response comes from, while that is the shared tier. */
export class SharedSource {
  readonly #side: SharedSide;
  readonly #request: ClientRequest;
  readonly #search: SharedSearch;
  #fill: SharedFill | undefined;
  #read: SharedRead | undefined;
  /** A body on its way into this node's store. */
  #incoming: BodyStore | undefined;
  #found: SharedResponse | undefined;
  #isSearching = true;
  #isAborted = false;

  constructor(side: SharedSide, request: ClientRequest, ask: FillAsk) {
    this.#side = side;
    this.#request = request;
    const { tier, nowMs, monotonicMs, counters } = side;
    this.#search = new SharedSearch({
      tier,
      request,
      ask,
      nowMs,
      monotonicMs,
      onWait: () => counters.add("sharedWaits"),
    });
  }

  /** It is not known yet whether the origin is asked. */
  get isSearching(): boolean {
    return this.#isSearching;
  }

  /** What the fill's response is a copy of, where it is one. */
  get found(): { readonly filledAfter: number; readonly sharedAs: number } | undefined {
    const found = this.#found;
    return found && { filledAfter: found.filledAfter, sharedAs: writingOf(found.entry) };
  }

  /** What the shared tier holds for the request, though it was not the answer. */
  get unusable(): SharedResponse | undefined {
    return this.#search.unusable;
  }

  start(fill: SharedFill): void {
    this.#fill = fill;
    void this.#search.find(() => !this.#isAborted).then((found) => this.#searched(found));
  }

  /** The leave to ask the origin while the other nodes wait. Who takes it ends it. */
  takeLease(): Lease | undefined {
    return this.#search.takeLease();
  }

  /** The origin says that `stored` is still good; it concerns others if it is stored on. */
  renewed(stored: StoredResponse): void {
    const { storage } = this.#side;
    if (!storage.has(stored)) return;
    this.#side.renewed(stored, this.#search.unusable, this.takeLease(), () => storage.has(stored));
  }

  handling(freshness: Freshness): Handling {
    const nowMs = this.#side.nowMs();
    return {
      verdict: "hit",
      ageSeconds: Math.max(0, Math.floor(currentAgeMs(freshness, nowMs) / 1000)),
      ttlSeconds: Math.floor(ttlMs(freshness, nowMs) / 1000),
      forwardStatus: undefined,
      stored: false,
      collapsed: false,
      hotVersion: undefined,
      hasCacheStatus: false,
    };
  }

  pause(): void {
    this.#read?.pause();
  }

  resume(): void {
    this.#read?.resume();
  }

  abort(): void {
    this.#isAborted = true;
    this.#read?.abort();
    this.#dropIncoming();
  }

  #searched(found: SharedFound | undefined): void {
    if (this.#isAborted) return this.takeLease()?.release();
    switch (found?.use) {
      case undefined:
        return this.#missed();
      case "answers":
        return this.#begin(found.response, found.range, found.first);
      case "imports":
        return this.#import(found.response, found.range, found.first);
      case "freshens":
        this.#freshen(found.stored, found.response);
    }
  }

  #missed(): void {
    this.#isSearching = false;
    this.#side.counters.add("sharedMisses");
    this.#fill!.missed();
  }

  /** It is the answer, and its body comes chunk by chunk. */
  #begin(response: SharedResponse, range: ByteRange, first: Uint8Array | undefined): void {
    const fill = this.#fill!;
    const { storage, tier, counters } = this.#side;
    const { entry, variant, freshness, bodyBytes } = response;
    const part = lengthOf(range) < bodyBytes ? { ...range, completeBytes: bodyBytes } : undefined;
    const fields = part === undefined ? response.fields : withRange(response.fields, range, bodyBytes);
    const body = new GrowingBody(storage, lengthOf(range), !fill.isPurged());
    this.#isSearching = false;
    this.#found = response;
    counters.add("sharedHits");
    this.#read = new SharedRead(tier, entry, range, {
      take: (bytes) => fill.take(bytes),
      end: () => fill.end(),
      broken: (index) => this.#recover(response, range, index),
    });
    fill.begin(
      {
        ...{ status: part === undefined ? response.status : 206, fields, variant, freshness, part, body },
        headBlock: renderHeadBlock(fields, "ours"),
        bodyBytes: lengthOf(range),
        responseTimeMs: freshness.responseTimeMs,
        reusable: part === undefined,
      },
      body,
    );
    if (!this.#isAborted) this.#read.start(first);
  }

  /** A chunk is gone while its body is served: the origin has it too, perhaps. */
  #recover({ entry }: SharedResponse, range: ByteRange, from: number): void {
    const fill = this.#fill!;
    this.#side.counters.add("sharedRecovered");
    fill.askAnew(
      new SharedRecovery({
        ...{ entry, range, from },
        reader: { take: (bytes) => fill.take(bytes), end: () => fill.end(), broken: () => fill.cut() },
      }),
    );
  }

  /** It is stored here as it is; then it is as any other that is stored. */
  #import(response: SharedResponse, range: ByteRange, first: Uint8Array | undefined): void {
    const { storage, tier } = this.#side;
    const place = this.#fill!.isPurged() ? undefined : storage.placeFor(response.bodyBytes);
    if (place === undefined) return this.#missed();
    const { body } = place;
    this.#incoming = body;
    this.#read = new SharedRead(tier, response.entry, range, {
      take: (bytes) => {
        if (this.#incoming !== undefined && !body.append(bytes)) this.#dropIncoming();
      },
      end: () => {
        const isKept = this.#incoming !== undefined && !this.#fill!.isPurged();
        if (isKept) storage.store(place.storage, storedFrom(response, this.#request, body));
        else this.#incoming?.discard();
        this.#incoming?.release();
        this.#incoming = undefined;
        if (isKept) this.#isThere();
        else this.#missed();
      },
      broken: () => {
        this.#dropIncoming();
        this.#missed();
      },
    });
    this.#read.start(first);
  }

  /** Another node has validated what is stored here too. */
  #freshen(stored: StoredResponse, { fields, freshness, tags, filledAfter, entry }: SharedResponse): void {
    this.#side.storage.renewed(stored);
    const headBlock = renderHeadBlock(fields, "ours");
    Object.assign(stored, {
      fields,
      freshness,
      tags,
      filledAfter,
      headBlock,
      sharedAs: writingOf(entry),
      quietUntilMs: 0,
    });
    this.#isThere();
  }

  #isThere(): void {
    this.#isSearching = false;
    this.#side.counters.add("sharedHits");
    this.#fill!.decideAnew();
  }

  #dropIncoming(): void {
    this.#incoming?.discard();
    this.#incoming?.release();
    this.#incoming = undefined;
  }
}

function storedFrom(response: SharedResponse, request: ClientRequest, body: BodyStore): StoredResponse {
  const { variant, status, fields, freshness, filledAfter, bodyBytes, entry } = response;
  return {
    ...{ key: request.key, variant, status, fields, freshness, filledAfter, body, bodyBytes },
    stripe: request.stripe,
    headBlock: renderHeadBlock(fields, "ours"),
    tags: cacheTags(fields),
    sharedAs: writingOf(entry),
    quietUntilMs: 0,
    purgesSeen: 0,
  };
}

function lengthOf({ start, end }: ByteRange): number {
  return end - start;
}

function withRange(fields: Fields, range: ByteRange, bodyBytes: number): Fields {
  const copy = fields.filter(() => true);
  copy.set("Content-Range", renderContentRange(range, bodyBytes));
  return copy;
}
