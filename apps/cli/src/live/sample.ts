import type { CacheCounter, HistogramReading, ProxyCounter } from "@proj/protocol";
import type { ChannelReading } from "../channel-stats.ts";
import { REQUEST_KINDS } from "../timings.ts";

/** The figures of one second, in the order in which the dashboard gets them. Rates are per second, latencies milliseconds to the last byte. */
export const SERIES = [
  "hot",
  "hit",
  "miss",
  "pass",
  "refused",
  "sentBytes",
  "originRequests",
  "originBytes",
  "errors",
  "p50Ms",
  "p90Ms",
  "p99Ms",
  "originP90Ms",
] as const;
export type Series = (typeof SERIES)[number];

export interface Sample extends Record<Series, number | null> {
  /** Seconds since the epoch. */
  at: number;
}

/**
 * What happened between two readings of a channel.
 *
 * @returns Undefined when there is nothing to compare: a process was not there, or is another one now.
 */
export function sampleBetween(before: TimedReading, after: TimedReading): Sample | undefined {
  const seconds = (after.atMs - before.atMs) / 1000;
  const { proxy, cache } = after.reading.stats;
  const earlier = before.reading.stats;
  if (proxy === null || earlier.proxy === null || seconds <= 0) return undefined;
  if (proxy.pid !== earlier.proxy.pid || proxy.startedAt !== earlier.proxy.startedAt) return undefined;
  const sameCache = cache !== null && earlier.cache !== null && cache.startedAt === earlier.cache.startedAt;
  const proxyRate = (name: ProxyCounter) => (proxy.counters[name] - earlier.proxy!.counters[name]) / seconds;
  const cacheRate = (name: CacheCounter) =>
    sameCache ? Math.max(0, cache.counters[name] - earlier.cache!.counters[name]) / seconds : 0;
  const kinds = (kind: (typeof REQUEST_KINDS)[number]) => {
    const now = after.reading.proxyTimings?.[`${kind}Total`];
    const then = before.reading.proxyTimings?.[`${kind}Total`];
    return now === undefined || then === undefined ? undefined : now.since(then);
  };
  const readings = new Map(REQUEST_KINDS.map((kind) => [kind, kinds(kind)] as const));
  const all = [...readings.values()].reduce<HistogramReading | undefined>(
    (sum, one) => (sum === undefined ? one : one === undefined ? sum : sum.plus(one)),
    undefined,
  );
  const rate = (kind: (typeof REQUEST_KINDS)[number]) => (readings.get(kind)?.count ?? 0) / seconds;
  const origin = after.reading.cacheTimings?.originFirstByte;
  const originBefore = before.reading.cacheTimings?.originFirstByte;
  const originTimes = origin !== undefined && originBefore !== undefined ? origin.since(originBefore) : undefined;
  return {
    at: Math.round(after.atMs / 1000),
    hot: proxyRate("hotHits"), // counted, not sampled
    hit: rate("hit"),
    miss: rate("miss"),
    pass: rate("pass"),
    refused: rate("refused"),
    sentBytes: proxyRate("sentBytes"),
    originRequests: cacheRate("originRequests") + proxyRate("passes"),
    originBytes: cacheRate("originBytes"),
    errors: proxyRate("status5xx"),
    p50Ms: all?.quantileMs(0.5) ?? null,
    p90Ms: all?.quantileMs(0.9) ?? null,
    p99Ms: all?.quantileMs(0.99) ?? null,
    originP90Ms: originTimes?.quantileMs(0.9) ?? null,
  };
}

export interface TimedReading {
  atMs: number;
  reading: ChannelReading;
}
