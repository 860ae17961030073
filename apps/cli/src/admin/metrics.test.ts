import { describe, expect, test } from "bun:test";
import {
  CACHE_COUNTERS,
  CACHE_HISTOGRAMS,
  Histogram,
  HistogramReading,
  PROXY_COUNTERS,
  PROXY_HISTOGRAMS,
} from "@proj/protocol";
import type { ChannelReading } from "../channel-stats.ts";
import type { CacheTimings, ProxyTimings } from "../timings.ts";
import { renderMetrics } from "./metrics.ts";

const VIEWS = {
  proxy: { isReady: true, pid: 1, restarts: 0, stalls: 0 },
  cache: { isReady: false, pid: 2, restarts: 4, stalls: 1 },
};

function timings<Name extends string>(names: readonly Name[]): Record<Name, HistogramReading> {
  const slots = new Float64Array(96);
  const histogram = new Histogram(slots);
  histogram.add(0.5);
  histogram.add(3000, 2);
  return Object.fromEntries(names.map((name) => [name, HistogramReading.sum([slots])])) as Record<
    Name,
    HistogramReading
  >;
}

function reading(): ChannelReading {
  const side = { pid: 1, state: "serving", threads: 2, startedAt: 1500 } as const;
  const counts = (names: readonly string[]) => Object.fromEntries(names.map((name, index) => [name, index + 1]));
  return {
    stats: {
      channel: "default",
      hits: 5,
      misses: 2,
      portions: 9,
      segmentsInUse: 1,
      lostWakeups: 0,
      doubleGiveBacks: 0,
      checksumFailures: 0,
      refusedMessages: 3,
      timings: {},
      origins: [{ origin: 'http://"a".example', asked: 12, failures: 1, restingThreads: 0 }],
      proxy: {
        ...side,
        segments: 4,
        segmentBytes: 4096,
        httpPort: 1,
        getfilePort: 2,
        counters: { ...counts(PROXY_COUNTERS), sentBytes: 2 ** 53, hotHits: 10, status2xx: 7 } as never,
      },
      cache: { ...side, counters: counts(CACHE_COUNTERS) as never },
    },
    proxyTimings: timings(PROXY_HISTOGRAMS) as ProxyTimings,
    cacheTimings: timings(CACHE_HISTOGRAMS) as CacheTimings,
  };
}

/** What `promtool check metrics` holds against a page, and what Prometheus itself refuses. */
function lint(text: string): string[] {
  const problems: string[] = [];
  const types = new Map<string, string>();
  const helped = new Set<string>();
  const seen = new Set<string>();
  let current: string | undefined;
  for (const line of text.split("\n").filter((one) => one !== "")) {
    const [, kind, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (kind === "HELP") helped.add(name);
    if (kind === "TYPE") {
      if (types.has(name)) problems.push(`${name}: typed twice`);
      types.set(name, rest);
      current = name;
    }
    if (line.startsWith("#")) continue;
    const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (\S+)$/.exec(
      line,
    );
    if (sample === null) {
      problems.push(`${line}: no sample`);
      continue;
    }
    const [, metric = "", labels = "", value] = sample;
    const family = types.get(current ?? "") === "histogram" ? metric.replace(/_(bucket|sum|count)$/, "") : metric;
    if (family !== current) problems.push(`${metric}: not beside its TYPE`);
    if (seen.has(`${metric}{${labels}}`)) problems.push(`${line}: twice`);
    seen.add(`${metric}{${labels}}`);
    if (Number.isNaN(Number(value))) problems.push(`${line}: no number`);
    if (labels.includes("le=") && !metric.endsWith("_bucket")) problems.push(`${metric}: le is for buckets`);
  }
  for (const [name, type] of types) {
    if (!helped.has(name)) problems.push(`${name}: no help text`);
    if (!/^webproxy_[a-z0-9_]+$/.test(name) || name.includes("__")) problems.push(`${name}: not snake case`);
    if (type === "counter" && !name.endsWith("_total")) problems.push(`${name}: counters end in _total`);
    if (type !== "counter" && name.endsWith("_total")) problems.push(`${name}: only counters end in _total`);
    if (/_(?:count|sum|bucket)$/.test(name)) problems.push(`${name}: a suffix of histograms`);
    if (
      /(?:milli|micro|nano)seconds|_ms\b|kilobytes|megabytes|_(?:micros|kb|mb|minutes|hours|percent)(?:_|$)/.test(name)
    )
      problems.push(`${name}: not a base unit`);
    if (/_(?:counter|gauge|histogram)(?:_|$)/.test(name)) problems.push(`${name}: its type is in its name`);
    if (type === "histogram" && !/_(?:seconds|bytes)$/.test(name)) problems.push(`${name}: no unit`);
  }
  return problems;
}

describe("renderMetrics()", () => {
  test("passes a lint like promtool's, which finds what is wrong", async () => {
    const { text, contentType } = await renderMetrics(reading(), VIEWS);
    expect(contentType).toStartWith("text/plain; version=0.0.4");
    expect(lint(text)).toEqual([]);
    for (const [from, to] of [
      ["webproxy_hits_total", "webproxy_hits"],
      ["# HELP webproxy_segments ", "# HELLO webproxy_segments "],
      ['{process="proxy"} 1', '{process="cache"} 1'],
      ["webproxy_origin_duration_seconds", "webproxy_origin_duration_milliseconds"],
      ["webproxy_segments_in_use 1", "webproxy_segments_in_use one"],
    ] as const)
      expect({ from, found: lint(text.replaceAll(from, to)).length > 0 }).toEqual({ from, found: true });
  });

  test("has every counter of both processes, levels as gauges, and forgets it all afterwards", async () => {
    for (let scrape = 0; scrape < 2; scrape++) {
      const { text } = await renderMetrics(reading(), VIEWS);
      expect(text).toContain(
        "# TYPE webproxy_proxy_sent_bytes_total counter\nwebproxy_proxy_sent_bytes_total 9007199254740992\n",
      );
      expect(text).toContain("# TYPE webproxy_proxy_connections_open gauge\nwebproxy_proxy_connections_open 2\n");
      expect(text).toContain("# TYPE webproxy_cache_memory_bytes gauge\n");
      expect(text).toContain("# TYPE webproxy_cache_loans gauge\n");
      expect(text).toContain('webproxy_responses_total{code="2xx"} 17\n');
      expect(text).toContain('webproxy_process_start_time_seconds{process="cache"} 1.5\n');
      for (const name of [...PROXY_COUNTERS, ...CACHE_COUNTERS].filter((one) => !one.startsWith("status")))
        expect(text).toMatch(
          new RegExp(
            `_${name.replace("Micros", "Seconds").replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}(_total)? `,
          ),
        );
      const micros = CACHE_COUNTERS.indexOf("sharedLookupMicros") + 1;
      expect(text).toContain(`\nwebproxy_cache_shared_lookup_seconds_total ${micros / 1e6}\n`);
      expect(text).toContain("# HELP webproxy_proxy_passes_total Requests sent to the origin past the cache.\n");
    }
    const gone = { stats: { ...reading().stats, proxy: null, cache: null } };
    const { text } = await renderMetrics({ ...gone, proxyTimings: undefined, cacheTimings: undefined }, VIEWS);
    expect(text).not.toContain("webproxy_proxy_sent_bytes");
    expect(lint(text)).toEqual([]);
  });

  test("has histograms whose buckets are cumulative and end in +Inf", async () => {
    const { text } = await renderMetrics(reading(), VIEWS);
    const buckets = [
      ...text.matchAll(/^webproxy_request_duration_seconds_bucket\{verdict="hit",le="(\S+)"\} (\d+)$/gm),
    ];
    const bounds = buckets.map(([, le]) => (le === "+Inf" ? Number.POSITIVE_INFINITY : Number(le)));
    expect(bounds).toEqual([...bounds].sort((one, other) => one - other));
    expect(
      buckets.map(([, , count]) => Number(count)).filter((count, index, all) => count < (all[index - 1] ?? 0)),
    ).toEqual([]);
    expect(buckets.at(-1)?.slice(1)).toEqual(["+Inf", "3"]);
    expect(text).toContain('webproxy_request_duration_seconds_sum{verdict="hit"} 6.0005\n');
    expect(text).toContain('webproxy_request_duration_seconds_count{verdict="hit"} 3\n');
    for (const kind of ["hot", "hit", "miss", "pass", "refused"])
      expect(text).toContain(`webproxy_request_first_byte_seconds_count{verdict="${kind}"} 3\n`);
  });
});

test("the Grafana board asks for metrics that there are, with labels that they have", async () => {
  const { text } = await renderMetrics(reading(), VIEWS);
  const samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const expressions = await boardExpressions();
  expect(expressions.length).toBeGreaterThan(20);
  const missing: string[] = [];
  for (const expression of expressions) {
    for (const [, name = "", selectors = ""] of expression.matchAll(/\b(webproxy_\w+)\{([^}]*)\}/g)) {
      const found = samples.filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
      if (found.length === 0) missing.push(name);
      for (const [label] of selectors.matchAll(/\b(?!job)\w+="[^"]*"/g))
        if (!found.some((line) => line.includes(label))) missing.push(`${name}{${label}}`);
    }
    for (const [, labels = ""] of expression.matchAll(/ by \(([^)]*)\)/g))
      for (const label of labels.split(", ")) if (!text.includes(`${label}="`)) missing.push(label);
  }
  expect(missing).toEqual([]);
});

async function boardExpressions(): Promise<string[]> {
  const board = (await Bun.file(new URL("../../../../docs/grafana-dashboard.json", import.meta.url)).json()) as {
    panels: { targets: { expr: string }[] }[];
  };
  return board.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
}
