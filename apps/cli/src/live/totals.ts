import type { Sample } from "./sample.ts"; // types only: this runs in the browser too

/** Requests a second of a sample, and the part of them that was answered from what is stored; null when there were none. */
export function totalsOf(sample: Sample): { requests: number; hitRatio: number | null } {
  const stored = (sample.hot ?? 0) + (sample.hit ?? 0);
  const cacheable = stored + (sample.miss ?? 0);
  const requests = cacheable + (sample.pass ?? 0) + (sample.refused ?? 0);
  return { requests, hitRatio: cacheable === 0 ? null : stored / cacheable };
}
