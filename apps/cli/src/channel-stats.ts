import { objectName, SharedMemoryCopy } from "@proj/ipc";
import {
  CACHE_COUNTERS,
  type CacheCounter,
  type ControlBlock,
  channelNames,
  type OriginSeen,
  PROXY_COUNTERS,
  type ProxyCounter,
  readControlBlock,
  readCounters,
  readOriginsSeen,
  type Side,
  threadCounters,
} from "@proj/protocol/process";
import { isAlive } from "./process-identity.ts";
import {
  type CacheTimings,
  type ProxyTimings,
  readCacheTimings,
  readProxyTimings,
  summariesOf,
  type TimingSummaries,
} from "./timings.ts";

/** One process of a channel as it stands in its control block. Counters are sums over its threads, since it started. */
export interface SideStats<Counter extends string> {
  pid: number;
  state: "starting" | "serving" | "stopping" | "dead";
  threads: number;
  /** Milliseconds since the epoch. */
  startedAt: number;
  counters: Record<Counter, number>;
}

export interface ProxyStats extends SideStats<ProxyCounter> {
  segments: number;
  segmentBytes: number;
  httpPort: number;
  getfilePort: number;
}

/** What the processes of a channel have counted. The names are those of `/api/stats` and of `webproxy stats --json`: stable. */
export interface ChannelStats {
  channel: string;
  /** Answered from stored responses: by the cache, or by the proxy's hot tier without asking it. */
  hits: number;
  misses: number;
  portions: number;
  segmentsInUse: number;
  lostWakeups: number;
  refusedMessages: number;
  /** Segments that a proxy thread was to give back without holding them. */
  doubleGiveBacks: number;
  /** Bodies, on disk or in the shared tier, that did not have the checksums they were written with. */
  checksumFailures: number;
  /** What proxy and cache have seen of each origin. */
  origins: OriginSeen[];
  timings: TimingSummaries;
  proxy: ProxyStats | null;
  cache: SideStats<CacheCounter> | null;
}

/** One reading of a channel: its counters, and the histograms from which their `timings` come. Undefined: that side is not there. */
export interface ChannelReading {
  stats: ChannelStats;
  proxyTimings: ProxyTimings | undefined;
  cacheTimings: CacheTimings | undefined;
}

/**
 * Reads the counters of a channel out of shared memory, at any moment and whether the processes answer or not: nobody is asked.
 * A side that has never started, has ended in an orderly way, has another layout, or belongs to another user is `null`.
 */
export function readChannelStats(channel: string): ChannelStats {
  return readChannel(channel).stats;
}

/** As {@link readChannelStats}, with the histograms. */
export function readChannel(channel: string): ChannelReading {
  const proxySide = readSide(channel, "proxy", PROXY_COUNTERS, readProxyTimings);
  const cacheSide = readSide(channel, "cache", CACHE_COUNTERS, readCacheTimings);
  const proxy = proxySide === undefined ? null : proxyStats(proxySide);
  const cache = cacheSide?.stats ?? null;
  const stats = {
    channel,
    hits: (proxy?.counters.hotHits ?? 0) + (cache?.counters.hits ?? 0),
    misses: cache?.counters.misses ?? 0,
    portions: proxy?.counters.portions ?? 0,
    segmentsInUse: proxy?.counters.segmentsHeld ?? 0,
    lostWakeups: (proxy?.counters.lostWakeups ?? 0) + (cache?.counters.lostWakeups ?? 0),
    refusedMessages: (proxy?.counters.refusedMessages ?? 0) + (cache?.counters.refusedMessages ?? 0),
    doubleGiveBacks: proxy?.counters.doubleGiveBacks ?? 0,
    checksumFailures: (cache?.counters.storedBroken ?? 0) + (cache?.counters.sharedBroken ?? 0),
    origins: seenByBoth(proxySide?.origins ?? [], cacheSide?.origins ?? []),
    timings: summariesOf({ ...proxySide?.timings, ...cacheSide?.timings }),
    proxy,
    cache,
  };
  return { stats, proxyTimings: proxySide?.timings, cacheTimings: cacheSide?.timings };
}

/** Sums by origin: two sides that were started alone may have been given different ones. */
function seenByBoth(ofProxy: readonly OriginSeen[], ofCache: readonly OriginSeen[]): OriginSeen[] {
  const sums = new Map<string, OriginSeen>();
  for (const { origin, asked, failures, restingThreads } of [...ofProxy, ...ofCache]) {
    const sum = sums.get(origin) ?? { origin, asked: 0, failures: 0, restingThreads: 0 };
    sums.set(origin, {
      origin,
      asked: sum.asked + asked,
      failures: sum.failures + failures,
      restingThreads: sum.restingThreads + restingThreads,
    });
  }
  return [...sums.values()];
}

interface SideReading<Counter extends string, Timings> {
  block: ControlBlock;
  stats: SideStats<Counter>;
  origins: OriginSeen[];
  timings: Timings;
}

function proxyStats({ block, stats }: SideReading<ProxyCounter, ProxyTimings>): ProxyStats {
  const { segments, segmentBytes, httpPort, getfilePort } = block;
  return { ...stats, segments, segmentBytes, httpPort, getfilePort };
}

function readSide<Counter extends string, Timings>(
  channel: string,
  side: Side,
  names: readonly Counter[],
  readTimings: (buffer: ArrayBuffer, threads: number) => Timings,
): SideReading<Counter, Timings> | undefined {
  using memory = SharedMemoryCopy.open(objectName(channelNames(channel).controlBlock(side)));
  if (memory === undefined) return undefined;
  const block = readControlBlock(memory.buffer);
  if (typeof block !== "object") return undefined;
  const { pid, threads, startedAt } = block;
  const pages = Array.from({ length: threads }, (_, thread) =>
    readCounters(names, threadCounters(memory.buffer, thread)),
  );
  const counters = Object.fromEntries(names.map((name) => [name, sum(pages.map((page) => page[name]))])) as Record<
    Counter,
    number
  >;
  const stats: SideStats<Counter> = { pid, state: isAlive(block) ? block.state : "dead", threads, startedAt, counters };
  const origins = readOriginsSeen(memory.buffer, threads);
  return { block, stats, origins, timings: readTimings(memory.buffer, threads) };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
