import type { SharedStatus } from "@proj/cache";
import type { HistogramReading, OriginSeen } from "@proj/protocol";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import packageJson from "../../package.json" with { type: "json" };
import type { ChannelReading, ChannelStats, SideStats } from "../channel-stats.ts";
import { REQUEST_KINDS } from "../timings.ts";
import type { ProcessViews } from "./app.ts";
import { CACHE_HELP, PROXY_HELP } from "./metric-help.ts";

/** Levels among the counters, as the channel names them: they go down too. */
const LEVEL = /(?:Open|Held|Entries|Stored)$|^(?:memory|disk|hot)Bytes$|^loans$/;
/** Rendered with a label instead. */
const STATUS = /^status(\dxx)$/;
/** Rendered in seconds. */
const MICROS = /Micros$/;

type Labels = Record<string, string>;
type Sample = readonly [labels: Labels, value: number];

/**
 * The counters and histograms of a channel in the Prometheus text format, version 0.0.4. Each scrape makes its own registry from one reading: nothing is
 * kept, and a counter whose process is gone is absent, not stale.
 */
export async function renderMetrics(
  { stats, proxyTimings, cacheTimings }: ChannelReading,
  processes: ProcessViews,
  shared?: SharedStatus,
): Promise<{ contentType: string; text: string }> {
  const metrics = new Metrics();
  addProcesses(metrics, stats, processes);
  addTotals(metrics, stats);
  addOrigins(metrics, stats.origins);
  if (shared !== undefined) addShared(metrics, shared);
  addCounters(metrics, "proxy", stats.proxy, PROXY_HELP);
  addCounters(metrics, "cache", stats.cache, CACHE_HELP);
  if (proxyTimings !== undefined) {
    const ofKinds = (suffix: "FirstByte" | "Total"): [Labels, HistogramReading][] =>
      REQUEST_KINDS.map((kind) => [{ verdict: kind }, proxyTimings[`${kind}${suffix}`]]);
    metrics.histogram(
      "webproxy_request_first_byte_seconds",
      "From the whole head of a request to the first byte of its response; hot hits are sampled.",
      ofKinds("FirstByte"),
    );
    metrics.histogram(
      "webproxy_request_duration_seconds",
      "From the whole head of a request to the last byte of its response; hot hits are sampled.",
      ofKinds("Total"),
    );
  }
  if (cacheTimings !== undefined) {
    const { originFirstByte, originTotal } = cacheTimings;
    metrics.histogram("webproxy_origin_first_byte_seconds", "From asking the origin to the head of its answer.", [
      [{}, originFirstByte],
    ]);
    metrics.histogram("webproxy_origin_duration_seconds", "From asking the origin to the end of its answer.", [
      [{}, originTotal],
    ]);
  }
  return metrics.render();
}

function addProcesses(metrics: Metrics, { proxy, cache }: ChannelStats, processes: ProcessViews): void {
  const sides = ["proxy", "cache"] as const;
  const both = (of: (side: "proxy" | "cache") => number): Sample[] =>
    sides.map((side) => [{ process: side }, of(side)]);
  metrics.gauge("webproxy_build_info", "1; the version is in the label.", [[{ version: packageJson.version }, 1]]);
  metrics.gauge(
    "webproxy_process_ready",
    "1 when the process serves.",
    both((side) => Number(processes[side].isReady)),
  );
  metrics.counter(
    "webproxy_process_restarts_total",
    "Times that the process was started again after it died.",
    both((side) => processes[side].restarts),
  );
  const started: Sample[] = [];
  if (proxy !== null) started.push([{ process: "proxy" }, proxy.startedAt / 1000]);
  if (cache !== null) started.push([{ process: "cache" }, cache.startedAt / 1000]);
  metrics.gauge("webproxy_process_start_time_seconds", "When the process started, since the epoch.", started);
}

function addTotals(metrics: Metrics, stats: ChannelStats): void {
  const { proxy } = stats;
  metrics.counter("webproxy_hits_total", "Requests answered from stored responses.", [[{}, stats.hits]]);
  metrics.counter("webproxy_misses_total", "Requests that had to go to the origin.", [[{}, stats.misses]]);
  metrics.counter("webproxy_portions_total", "Portions that the proxy received in segments.", [[{}, stats.portions]]);
  metrics.gauge("webproxy_segments_in_use", "Segments that carry a portion now.", [[{}, stats.segmentsInUse]]);
  if (proxy !== null) {
    metrics.gauge("webproxy_segments", "Segments in the pool.", [[{}, proxy.segments]]);
    metrics.gauge("webproxy_segment_size_bytes", "Size of each segment.", [[{}, proxy.segmentBytes]]);
    // Hot hits are not counted by status: each is a 200.
    const code = (name: keyof typeof proxy.counters): number => proxy.counters[name] ?? 0;
    metrics.counter("webproxy_responses_total", "Responses by the first digit of their status.", [
      [{ code: "2xx" }, code("status2xx") + code("hotHits")],
      [{ code: "3xx" }, code("status3xx")],
      [{ code: "4xx" }, code("status4xx")],
      [{ code: "5xx" }, code("status5xx")],
    ]);
  }
  metrics.counter(
    "webproxy_lost_wakeups_total",
    "Times that the slow timer found work no doorbell had told of: must stay 0.",
    [[{}, stats.lostWakeups]],
  );
  metrics.counter("webproxy_refused_messages_total", "Messages of the peer that broke a rule of the channel.", [
    [{}, stats.refusedMessages],
  ]);
  metrics.counter(
    "webproxy_double_give_backs_total",
    "Segments that were to be given back twice, which was refused: must stay 0.",
    [[{}, stats.doubleGiveBacks]],
  );
  metrics.counter(
    "webproxy_checksum_failures_total",
    "Bodies, on disk or in the shared tier, that were not as they had been written, and were dropped: 0 on sound media.",
    [[{}, stats.checksumFailures]],
  );
}

function addOrigins(metrics: Metrics, origins: readonly OriginSeen[]): void {
  const perOrigin = (of: (seen: OriginSeen) => number): Sample[] =>
    origins.map((seen) => [{ origin: seen.origin }, of(seen)]);
  metrics.counter(
    "webproxy_origin_requests_total",
    "Requests sent to the origin.",
    perOrigin(({ asked }) => asked),
  );
  metrics.counter(
    "webproxy_origin_failures_total",
    "Requests that the origin failed before the head of a response.",
    perOrigin(({ failures }) => failures),
  );
  metrics.gauge(
    "webproxy_origin_resting_threads",
    "Threads that leave the origin alone since it failed.",
    perOrigin(({ restingThreads }) => restingThreads),
  );
}

function addShared(metrics: Metrics, { state, behind, unsent, nodes }: SharedStatus): void {
  metrics.gauge("webproxy_shared_joined", "1 when the node hears of every purge of its deployment.", [
    [{}, state === "joined" ? 1 : 0],
  ]);
  metrics.gauge("webproxy_shared_purges_behind", "Purges of the deployment that this node has not applied yet.", [
    [{}, behind],
  ]);
  metrics.gauge("webproxy_shared_purges_unsent", "Purges made here that other nodes can not know of yet.", [
    [{}, unsent],
  ]);
  metrics.gauge("webproxy_shared_nodes", "Nodes of the deployment that have been heard and not said good-bye.", [
    [{}, nodes.length],
  ]);
}

function addCounters(
  metrics: Metrics,
  side: "proxy" | "cache",
  stats: SideStats<string> | null,
  helps: Readonly<Record<string, string>>,
): void {
  for (const [name, value] of Object.entries(stats?.counters ?? {})) {
    if (STATUS.test(name)) continue;
    const help = helps[name] ?? name;
    const metric = `webproxy_${side}_${snakeCase(name.replace(MICROS, "Seconds"))}`;
    if (MICROS.test(name)) metrics.counter(`${metric}_total`, help, [[{}, value / 1e6]]);
    else if (LEVEL.test(name)) metrics.gauge(metric, help, [[{}, value]]);
    else metrics.counter(`${metric}_total`, help, [[{}, value]]);
  }
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** What one scrape says. */
class Metrics {
  readonly #registry = new Registry();

  counter(name: string, help: string, samples: readonly Sample[]): void {
    const counter = new Counter({ name, help, labelNames: labelNamesOf(samples), registers: [this.#registry] });
    for (const [labels, value] of samples) counter.inc(labels, value);
  }

  gauge(name: string, help: string, samples: readonly Sample[]): void {
    const gauge = new Gauge({ name, help, labelNames: labelNamesOf(samples), registers: [this.#registry] });
    for (const [labels, value] of samples) gauge.set(labels, value);
  }

  histogram(name: string, help: string, readings: readonly (readonly [Labels, HistogramReading])[]): void {
    this.#registry.registerMetric(new ReadHistogram(name, help, readings));
  }

  async render(): Promise<{ contentType: string; text: string }> {
    return { contentType: this.#registry.contentType, text: await this.#registry.metrics() };
  }
}

function labelNamesOf(samples: readonly (readonly [Labels, unknown])[]): string[] {
  return Object.keys(samples[0]?.[0] ?? {});
}

/** A histogram that was counted elsewhere: the library's own can only be added to, one duration at a time. */
class ReadHistogram extends Histogram<string> {
  readonly #name: string;
  readonly #help: string;
  readonly #readings: readonly (readonly [Labels, HistogramReading])[];

  constructor(name: string, help: string, readings: readonly (readonly [Labels, HistogramReading])[]) {
    super({ name, help, labelNames: labelNamesOf(readings), registers: [] });
    this.#name = name;
    this.#help = help;
    this.#readings = readings;
  }

  override async get() {
    const values = this.#readings.flatMap(([labels, reading]) => {
      const bucket = (le: number | "+Inf", value: number) => ({
        metricName: `${this.#name}_bucket`,
        labels: { ...labels, le },
        value,
      });
      const { count, sumMs } = reading;
      return [
        ...reading.cumulative().map(({ leSeconds, count: below }) => bucket(leSeconds, below)),
        bucket("+Inf", count),
        { metricName: `${this.#name}_sum`, labels, value: sumMs / 1000 },
        { metricName: `${this.#name}_count`, labels, value: count },
      ];
    });
    return {
      name: this.#name,
      help: this.#help,
      type: "histogram",
      aggregator: "sum",
      values,
      collect: () => {},
    } as never;
  }

  getForPromString() {
    return this.get();
  }
}
