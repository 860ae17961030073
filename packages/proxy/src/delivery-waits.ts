import type { PoolMember, Segment } from "@proj/ipc";
import type { Counters, ProxyCounter } from "@proj/protocol";
import type { CacheClient } from "./cache-client.ts";

/** How long a request waits for a segment before it is refused. */
const SEGMENT_TIMEOUT_MS = 10_000;
/** How long a cache may be away before requests do not wait for it any more: on a machine that has processors to spare it is back by then. */
const CACHE_AWAY_MS = 400;

/** What is waited for, and with what. */
export interface WaitContext {
  readonly cache: Pick<CacheClient, "awaySinceMs" | "whenAttached">;
  readonly pool: Pick<PoolMember, "take" | "giveBack">;
  readonly counters: Counters<ProxyCounter>;
  readonly now: () => number;
}

/** Who waits, and what becomes of it. */
export interface WaitOutcome {
  /** Nobody needs what is waited for any more: a segment that comes all the same goes back. */
  isOver(): boolean;
  cacheCame(): void;
  segmentCame(segment: Segment): void;
  inVain(reason: "cache-away" | "overloaded"): void;
}

/** What a delivery waits for before the cache can be asked: that there is one, or a segment. Most wait for nothing, and have none of this. */
export class DeliveryWaits {
  readonly #context: WaitContext;
  readonly #outcome: WaitOutcome;
  #segment: AbortController | undefined;
  #stopWaitingForCache: (() => void) | undefined;
  /** Of the first life that it has waited for: where the next one dies too it has waited enough. */
  #cacheWaitEndsMs = Number.POSITIVE_INFINITY;

  constructor(context: WaitContext, outcome: WaitOutcome) {
    this.#context = context;
    this.#outcome = outcome;
  }

  forCache(): void {
    const { cache, now } = this.#context;
    this.#cacheWaitEndsMs = Math.min(this.#cacheWaitEndsMs, cache.awaySinceMs + CACHE_AWAY_MS);
    const timer = setTimeout(
      () => {
        stop();
        this.#outcome.inVain("cache-away");
      },
      Math.max(0, this.#cacheWaitEndsMs - now()),
    );
    const stop = cache.whenAttached(() => {
      clearTimeout(timer);
      this.#stopWaitingForCache = undefined;
      this.#outcome.cacheCame();
    });
    this.#stopWaitingForCache = () => {
      clearTimeout(timer);
      stop();
    };
  }

  /** In turn with all others who do. */
  forSegment(): void {
    if (this.#segment !== undefined) return;
    this.#segment = new AbortController();
    const { pool, counters } = this.#context;
    counters.add("segmentWaits");
    pool.take({ timeoutMs: SEGMENT_TIMEOUT_MS, signal: this.#segment.signal }).then(
      (segment) => {
        this.#segment = undefined;
        if (segment !== undefined && this.#outcome.isOver()) pool.giveBack(segment);
        else if (segment !== undefined) this.#outcome.segmentCame(segment);
        else this.#segmentTimeout();
      },
      () => {
        this.#segment = undefined; // aborted: the client has left
      },
    );
  }

  /** The delivery is over. */
  stop(): void {
    this.#segment?.abort();
    this.#stopWaitingForCache?.();
    this.#stopWaitingForCache = undefined;
  }

  #segmentTimeout(): void {
    if (this.#outcome.isOver()) return;
    this.#context.counters.add("segmentTimeouts");
    this.#outcome.inVain("overloaded");
  }
}
