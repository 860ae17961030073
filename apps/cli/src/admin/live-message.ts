import type { SharedStatus } from "@proj/cache";
import type { CacheCounter, OriginSeen, ProxyCounter } from "@proj/protocol";
import type { AccessEntry } from "../access/line.ts";
import type { LiveState, LiveView, TierLimits } from "../live/live-view.ts";
import { type Sample, SERIES, type Series } from "../live/sample.ts";
import type { TopTargets } from "../live/top-targets.ts";
import type { TimingSummaries } from "../timings.ts";
import type { ProcessViews } from "./app.ts";

/** What the dashboard is told first: who speaks, and the last ten minutes. */
export interface StartMessage {
  channel: string;
  version: string;
  limits: TierLimits;
  /** Seconds since the epoch, and the values of each series at them. */
  history: { at: number[] } & Record<Series, (number | null)[]>;
}

/** What it is told each second. */
export interface SecondMessage {
  atMs: number;
  sample: Sample | undefined;
  processes: Record<
    "proxy" | "cache",
    { state: string; pid: number | null; restarts: number; startedAt: number | null }
  >;
  counters: { proxy: Record<ProxyCounter, number> | null; cache: Record<CacheCounter, number> | null };
  /** A letter for each segment: q queued, s stocked, h held, m missing. */
  pool: { states: string; segmentBytes: number; waiting: number; replaced: number } | null;
  origins: OriginSeen[];
  /** How this node stands to those that it shares with; null where it shares nothing. */
  shared: SharedStatus | null;
  top: TopTargets;
  lastMinute: TimingSummaries;
  requests: AccessEntry[];
}

export function startMessage(
  view: LiveView,
  about: { channel: string; version: string; limits: TierLimits },
): StartMessage {
  const { history } = view;
  const columns = Object.fromEntries(SERIES.map((name) => [name, history.map((sample) => sample[name])])) as Record<
    Series,
    (number | null)[]
  >;
  return { ...about, history: { at: history.map(({ at }) => at), ...columns } };
}

export function secondMessage(
  state: LiveState,
  requests: AccessEntry[],
  processes: ProcessViews,
  shared: SharedStatus | undefined,
): SecondMessage {
  const { stats } = state.reading;
  const process = (side: "proxy" | "cache") => ({
    state: stats[side]?.state ?? "absent",
    pid: stats[side]?.pid ?? null,
    restarts: processes[side].restarts,
    startedAt: stats[side]?.startedAt ?? null,
  });
  const { pool } = state;
  return {
    atMs: Date.now(),
    sample: state.sample,
    processes: { proxy: process("proxy"), cache: process("cache") },
    counters: { proxy: stats.proxy?.counters ?? null, cache: stats.cache?.counters ?? null },
    pool: pool === undefined ? null : { ...pool, states: pool.states.map((one) => one[0]).join("") },
    origins: stats.origins,
    shared: shared ?? null,
    top: state.top,
    lastMinute: state.lastMinute,
    requests,
  };
}
