import {
  CACHE_HISTOGRAMS,
  type CacheHistogram,
  HistogramReading,
  PROXY_HISTOGRAMS,
  type ProxyHistogram,
  threadHistogram,
} from "@proj/protocol/process";

/** What the requests came to: see the verdicts of access records; `miss` is all that the cache had to ask the origin for. */
export const REQUEST_KINDS = ["hot", "hit", "miss", "pass", "refused"] as const;
export type RequestKind = (typeof REQUEST_KINDS)[number];

/** All durations that a side has measured, over all its threads. */
export type ProxyTimings = Record<ProxyHistogram, HistogramReading>;
export type CacheTimings = Record<CacheHistogram, HistogramReading>;

export function readProxyTimings(buffer: ArrayBuffer, threads: number): ProxyTimings {
  return readTimings(PROXY_HISTOGRAMS, buffer, threads);
}

export function readCacheTimings(buffer: ArrayBuffer, threads: number): CacheTimings {
  return readTimings(CACHE_HISTOGRAMS, buffer, threads);
}

function readTimings<Name extends string>(
  names: readonly Name[],
  buffer: ArrayBuffer,
  threads: number,
): Record<Name, HistogramReading> {
  const ofAllThreads = (index: number) =>
    HistogramReading.sum(Array.from({ length: threads }, (_, thread) => threadHistogram(buffer, thread, index)));
  return Object.fromEntries(names.map((name, index) => [name, ofAllThreads(index)])) as Record<Name, HistogramReading>;
}

/** A distribution in the figures that people ask for. Null where nothing was measured. */
export interface TimingSummary {
  count: number;
  meanMs: number | null;
  p50Ms: number | null;
  p90Ms: number | null;
  p99Ms: number | null;
  p999Ms: number | null;
}

/** The names are those of `/api/stats`: stable. */
export type TimingSummaries = Partial<Record<ProxyHistogram | CacheHistogram, TimingSummary>>;

export function summariesOf(timings: Partial<ProxyTimings & CacheTimings>): TimingSummaries {
  return Object.fromEntries(Object.entries(timings).map(([name, reading]) => [name, summaryOf(reading)]));
}

export function summaryOf(reading: HistogramReading): TimingSummary {
  const { count, sumMs } = reading;
  const quantile = (part: number) => rounded(reading.quantileMs(part));
  return {
    count,
    meanMs: count === 0 ? null : rounded(sumMs / count),
    p50Ms: quantile(0.5),
    p90Ms: quantile(0.9),
    p99Ms: quantile(0.99),
    p999Ms: quantile(0.999),
  };
}

/** To the microsecond: a histogram knows no more. */
function rounded(ms: number | undefined): number | null {
  return ms === undefined ? null : Math.round(ms * 1000) / 1000;
}
