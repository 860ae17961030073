import type { OriginSeen } from "@proj/protocol";
import { Counter, Gauge, Registry } from "prom-client";
import type { ChannelStats, SideStats } from "../channel-stats.ts";
import type { ProcessViews } from "./app.ts";

/** Levels among the counters, as the channel names them: they go down too. */
const LEVEL = /(?:Open|Held|Entries|Stored)$|^(?:memory|disk|hot)Bytes$/;

/**
 * The counters of a channel in the Prometheus text format. Each scrape makes its own registry from one reading: nothing is kept,
 * and a counter whose process is gone is absent, not stale.
 */
export async function renderMetrics(
  stats: ChannelStats,
  processes: ProcessViews,
): Promise<{ contentType: string; text: string }> {
  const registry = new Registry();
  const metric = (
    name: string,
    help: string,
    isLevel: boolean,
    values: readonly [label: string | undefined, value: number][],
    labelName = "process",
  ) => {
    const labelNames = values.some(([label]) => label !== undefined) ? [labelName] : [];
    const target = isLevel
      ? new Gauge({ name, help, labelNames, registers: [registry] })
      : new Counter({ name, help, labelNames, registers: [registry] });
    for (const [label, value] of values) target.inc(label === undefined ? {} : { [labelName]: label }, value);
  };
  const both = (of: (side: "proxy" | "cache") => number) =>
    [
      ["proxy", of("proxy")],
      ["cache", of("cache")],
    ] as [string, number][];

  metric(
    "webproxy_process_ready",
    "1 when the process serves.",
    true,
    both((side) => Number(processes[side].isReady)),
  );
  metric(
    "webproxy_process_restarts_total",
    "Times that the process was started again after it died.",
    false,
    both((side) => processes[side].restarts),
  );
  metric("webproxy_hits_total", "Requests answered from stored responses.", false, [[undefined, stats.hits]]);
  metric("webproxy_misses_total", "Requests that had to go to the origin.", false, [[undefined, stats.misses]]);
  metric("webproxy_portions_total", "Portions that the proxy received in segments.", false, [
    [undefined, stats.portions],
  ]);
  metric("webproxy_segments_in_use", "Segments that carry a portion now.", true, [[undefined, stats.segmentsInUse]]);
  metric(
    "webproxy_lost_wakeups_total",
    "Times that the slow timer found work no doorbell had told of: must stay 0.",
    false,
    [[undefined, stats.lostWakeups]],
  );
  metric("webproxy_refused_messages_total", "Messages of the peer that broke a rule of the channel.", false, [
    [undefined, stats.refusedMessages],
  ]);
  const perOrigin = (name: string, help: string, isLevel: boolean, of: (seen: OriginSeen) => number) =>
    metric(
      name,
      help,
      isLevel,
      stats.origins.map((seen) => [seen.origin, of(seen)]),
      "origin",
    );
  perOrigin("webproxy_origin_requests_total", "Requests sent to the origin.", false, ({ asked }) => asked);
  perOrigin(
    "webproxy_origin_failures_total",
    "Requests that the origin failed before the head of a response.",
    false,
    ({ failures }) => failures,
  );
  perOrigin(
    "webproxy_origin_resting_threads",
    "Threads that leave the origin alone since it failed.",
    true,
    ({ restingThreads }) => restingThreads,
  );
  for (const [side, values] of [
    ["proxy", stats.proxy],
    ["cache", stats.cache],
  ] as const) {
    for (const [name, value] of countersOf(values)) {
      const isLevel = LEVEL.test(name);
      metric(
        `webproxy_${side}_${snakeCase(name)}${isLevel ? "" : "_total"}`,
        `${name} of the ${side}, over all its threads.`,
        isLevel,
        [[undefined, value]],
      );
    }
  }
  return { contentType: registry.contentType, text: await registry.metrics() };
}

function countersOf(side: SideStats<string> | null): [string, number][] {
  return side === null ? [] : Object.entries(side.counters);
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
