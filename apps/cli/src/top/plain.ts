import type { LiveState } from "../live/live-view.ts";
import { totalsOf } from "../live/totals.ts";
import { amount, bytes, ms, percent } from "./figures.ts";

const COLUMNS = [
  ...(["time", "requests/s", "hit-ratio", "hot/s", "hit/s", "miss/s", "pass/s", "refused/s", "5xx/s"] as const),
  ...(["sent/s", "origin/s", "p50", "p90", "p99", "segments", "open"] as const),
];
type Column = (typeof COLUMNS)[number];

export const PLAIN_HEADING = lineOf(Object.fromEntries(COLUMNS.map((name) => [name, name])) as Record<Column, string>);

/** One second as one line, in columns: for a pipe, a file, a log. */
export function plainLine({ sample, reading }: LiveState, nowMs: number): string {
  const { proxy } = reading.stats;
  const { requests, hitRatio } = sample === undefined ? { requests: null, hitRatio: null } : totalsOf(sample);
  return lineOf({
    time: new Date(nowMs).toISOString().slice(11, 19),
    "requests/s": amount(requests),
    "hit-ratio": percent(hitRatio),
    "hot/s": amount(sample?.hot),
    "hit/s": amount(sample?.hit),
    "miss/s": amount(sample?.miss),
    "pass/s": amount(sample?.pass),
    "refused/s": amount(sample?.refused),
    "5xx/s": amount(sample?.errors),
    "sent/s": bytes(sample?.sentBytes),
    "origin/s": amount(sample?.originRequests),
    p50: ms(sample?.p50Ms),
    p90: ms(sample?.p90Ms),
    p99: ms(sample?.p99Ms),
    segments: amount(reading.stats.segmentsInUse),
    open: amount(proxy?.counters.connectionsOpen),
  });
}

function lineOf(values: Record<Column, string>): string {
  return `${COLUMNS.map((name) => values[name].padStart(Math.max(name.length, 8))).join(" ")}\n`;
}
