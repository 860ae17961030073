import { Histogram } from "@proj/protocol";

/** How long the origin takes: to the head of its answer, and to its end. */
export interface OriginTimes {
  readonly firstByte: Histogram;
  readonly total: Histogram;
}

/** @param slots The slots of each of the thread's histograms, in the order of `CACHE_HISTOGRAMS`. */
export function originTimes(slots: (index: number) => Float64Array): OriginTimes {
  return { firstByte: new Histogram(slots(0)), total: new Histogram(slots(1)) };
}
