import { describe, expect, test } from "bun:test";
import { CACHE_COUNTERS, type CacheCounter } from "@proj/protocol";
import type { ChannelStats } from "../channel-stats.ts";
import { LiveView } from "../live/live-view.ts";
import { adminApp, type ProcessViews } from "./app.ts";
import { renderMetrics } from "./metrics.ts";

const STATS: ChannelStats = {
  channel: "default",
  hits: 5,
  misses: 2,
  portions: 9,
  segmentsInUse: 1,
  lostWakeups: 0,
  doubleGiveBacks: 0,
  checksumFailures: 0,
  refusedMessages: 3,
  origins: [{ origin: "http://a.example", asked: 12, failures: 0, restingThreads: 0 }],
  timings: {},
  proxy: null,
  cache: null,
};

function api(processes: { proxy: boolean; cache: boolean }, stats = STATS) {
  const views: ProcessViews = {
    proxy: { isReady: processes.proxy, pid: 1, restarts: 0, stalls: 0 },
    cache: { isReady: processes.cache, pid: 2, restarts: 4, stalls: 1 },
  };
  const about = { channel: "default", version: "1.2.3", limits: { hot: 1, memory: 2, disk: 3 } };
  const app = adminApp({
    host: "127.0.0.1",
    live: new LiveView(`test-${process.pid}-none`),
    about,
    explaining: {
      explain: async ({ path, method, fields, host }) => {
        if (path === "/broken") throw new Error("Cannot explain: told so");
        return { outcome: "fetch", because: [{ text: JSON.stringify({ path, method, fields, host }) }], stored: [] };
      },
      httpAddress: () => "127.0.0.1:1",
    },
    processes: views,
    readStats: () => stats,
    purge: async ({ selector }) => {
      if (selector.by === "all") throw new Error("Cannot purge: told so");
      return { responses: 3, bodyBytes: 700 };
    },
    sharedStatus: () => undefined,
    renderMetrics: () => renderMetrics({ stats: STATS, proxyTimings: undefined, cacheTimings: undefined }, views),
  });
  return (path: string, init: RequestInit = {}) =>
    app.request(path, { ...init, headers: { host: "127.0.0.1:8081", ...(init.headers as Record<string, string>) } });
}

describe("adminApp()", () => {
  test("is healthy while it lives, ready while both processes serve", async () => {
    expect((await api({ proxy: false, cache: false })("/healthz")).status).toBe(200);
    for (const [proxy, cache, status] of [
      [true, true, 200],
      [true, false, 503],
      [false, true, 503],
    ] as const) {
      const response = await api({ proxy, cache })("/readyz");
      expect([response.status, await response.json()]).toEqual([
        status,
        { status: status === 200 ? "ready" : "not-ready", proxy, cache, degraded: [] },
      ]);
    }
  });

  test("is ready but degraded while an origin is left alone", async () => {
    const failing = { origin: "https://b.example:8443", asked: 3, failures: 1, restingThreads: 1 };
    const response = await api(
      { proxy: true, cache: true },
      { ...STATS, origins: [...STATS.origins, failing] },
    )("/readyz");
    expect([response.status, await response.json()]).toMatchObject([
      200,
      { status: "degraded", degraded: ["origin https://b.example:8443"] },
    ]);
  });

  test("is ready but degraded while a disk refuses", async () => {
    const counters = Object.fromEntries(CACHE_COUNTERS.map((name) => [name, 0])) as Record<CacheCounter, number>;
    const cache = { pid: 2, state: "serving" as const, threads: 1, startedAt: 0 };
    const stats = { ...STATS, cache: { ...cache, counters: { ...counters, storesDegradedOpen: 1 } } };
    const response = await api({ proxy: true, cache: true }, stats)("/readyz");
    expect([response.status, await response.json()]).toMatchObject([200, { status: "degraded", degraded: ["disk"] }]);
  });

  test("gives the counters as JSON", async () => {
    const response = await api({ proxy: true, cache: true })("/api/stats");
    expect(await response.json()).toEqual({
      ...STATS,
      restarts: { proxy: 0, cache: 4 },
      stalls: { proxy: 0, cache: 1 },
      shared: null,
    });
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(response.headers.get("access-control-allow-origin")).toBeNull();
  });

  test("purges what it is asked to, and says how many", async () => {
    const purge = (body: unknown, headers: Record<string, string> = {}) =>
      api({ proxy: true, cache: true })("/api/purge", {
        method: "POST",
        body: JSON.stringify(body),
        headers: { "content-type": "application/json", ...headers },
      });
    const done = await purge({ tag: "red", soft: true });
    expect([done.status, await done.json()]).toEqual([200, { purged: 3, bodyBytes: 700, soft: true, dryRun: false }]);
    expect((await purge({ tag: 7 })).status).toBe(400);
    const failed = await purge({ all: true });
    expect([failed.status, await failed.json()]).toEqual([503, { error: "Cannot purge: told so" }]);
    // CHECKLIST 42: what a foreign web page can make a browser send.
    expect((await purge({ tag: "red" }, { "content-type": "text/plain" })).status).toBe(415);
    expect((await purge({ tag: "red" }, { origin: "http://evil.example" })).status).toBe(403);
    expect((await purge({ tag: "red" }, { origin: "null" })).status).toBe(403);
    expect((await purge({ tag: "red" }, { "sec-fetch-site": "cross-site" })).status).toBe(403);
    expect(
      (await purge({ tag: "red" }, { origin: "http://127.0.0.1:8081", "sec-fetch-site": "same-origin" })).status,
    ).toBe(200);
    expect((await api({ proxy: true, cache: true })("/api/purge")).status).toBe(404);
  });

  test("gives the counters in the Prometheus text format", async () => {
    const response = await api({ proxy: true, cache: false })("/metrics");
    expect(response.headers.get("content-type")).toStartWith("text/plain; version=0.0.4");
    const text = await response.text();
    expect(text).toContain("# TYPE webproxy_hits_total counter\nwebproxy_hits_total 5\n");
    expect(text).toContain("# TYPE webproxy_segments_in_use gauge\nwebproxy_segments_in_use 1\n");
    expect(text).toContain('webproxy_process_ready{process="cache"} 0\n');
    expect(text).toContain('webproxy_process_restarts_total{process="cache"} 4\n');
  });

  test("gives the dashboard as one page that loads nothing from anywhere, under a policy that says so", async () => {
    const response = await api({ proxy: true, cache: true })("/");
    const html = await response.text();
    expect(response.headers.get("content-type")).toStartWith("text/html");
    const policy = response.headers.get("content-security-policy") ?? "";
    expect(policy).toStartWith("default-src 'none'; script-src 'sha256-");
    expect(policy).not.toContain("unsafe");
    expect(html).not.toMatch(/(?:src|href)\s*=\s*["']?(?:https?:)?\/\//);
    expect(html).not.toContain("/*SCRIPT*/");
  });

  test("streams what is and what happens", async () => {
    const response = await api({ proxy: true, cache: true })("/api/live");
    expect(response.headers.get("content-type")).toStartWith("text/event-stream");
    const reader = response.body!.getReader();
    let text = "";
    while (!text.includes("event: second")) text += new TextDecoder().decode((await reader.read()).value);
    await reader.cancel();
    expect(JSON.parse(/event: start\ndata: (.*)/.exec(text)![1]!)).toMatchObject({
      version: "1.2.3",
      limits: { disk: 3 },
    });
    expect(JSON.parse(/event: second\ndata: (.*)/.exec(text)?.[1] ?? "{}")).toMatchObject({
      processes: { cache: { state: "absent", restarts: 4 } },
      pool: null,
    });
  });

  test("explains what it is asked by query or by body, and fetches for its own pages and commands only", async () => {
    const get = async (query: string) => {
      const response = await api({ proxy: true, cache: true })(`/api/explain?${query}`);
      return [response.status, (await response.json()) as { because?: [{ text: string }]; error?: string }] as const;
    };
    const [status, { because }] = await get(
      "url=http://a.example/x?y=1&header=Accept:%20text/html&header=X:&method=HEAD",
    );
    expect([status, JSON.parse(because![0].text)]).toEqual([
      200,
      {
        path: "/x?y=1",
        method: "HEAD",
        host: "a.example",
        fields: [
          ["Accept", "text/html"],
          ["X", ""],
        ],
      },
    ]);
    for (const bad of [
      "",
      "url=a",
      "url=ftp://x/",
      "url=/x&header=nothing",
      "url=/x&method=get",
      `url=/${"x".repeat(9000)}`,
    ])
      expect({ bad, status: (await get(bad))[0] }).toEqual({ bad, status: 400 });
    expect(await get("url=/broken")).toEqual([503, { error: "Cannot explain: told so" }]);
    const post = (body: unknown, headers: Record<string, string> = {}) =>
      api({ proxy: true, cache: true })("/api/explain", {
        method: "POST",
        body: JSON.stringify(body),
        headers: { "content-type": "application/json", ...headers },
      });
    expect((await post({ url: "/x" })).status).toBe(200);
    expect((await post({ url: "/x", fetch: true })).status).toBe(503); // nobody listens there
    expect((await post({ url: "/x", fetch: true }, { origin: "http://evil.example" })).status).toBe(403);
    expect((await post({ url: "/x", fetch: true }, { "content-type": "text/plain" })).status).toBe(415);
    expect((await post({ url: 7 })).status).toBe(400);
  });

  test("answers nobody who calls it by a foreign name", async () => {
    for (const path of ["/healthz", "/metrics", "/api/stats", "/none"]) {
      const response = await api({ proxy: true, cache: true })(path, { headers: { host: "evil.example:8081" } });
      expect([response.status, Object.keys((await response.json()) as object)]).toEqual([421, ["error"]]);
    }
  });

  test("answers what it does not have with JSON", async () => {
    const response = await api({ proxy: true, cache: true })("/api/none");
    expect([response.status, await response.json()]).toEqual([404, { error: "nothing is at /api/none" }]);
    expect((await api({ proxy: true, cache: true })("/api/stats", { method: "POST" })).status).toBe(404);
  });
});
