import type { NodesPurgeCount, Purge, SharedStatus } from "@proj/cache";
import { type Context, Hono } from "hono";
import type { ChannelStats } from "../channel-stats.ts";
import { messageOf } from "../command-error.ts";
import { dashboardPage } from "../dashboard-page.ts";
import type { LiveView, TierLimits } from "../live/live-view.ts";
import { type PurgeAnswer, readPurgeRequest } from "../purge-request.ts";
import { type ExplainSources, explainByBody, explainByQuery } from "./explain-route.ts";
import { isAdminHost } from "./host-check.ts";
import { liveStream } from "./live-stream.ts";

/** One of the two processes, as its supervisor knows it. */
export interface ProcessView {
  readonly isReady: boolean;
  readonly pid: number | undefined;
  readonly restarts: number;
  /** How often it stood still: was stopped, or hung. */
  readonly stalls: number;
}

export interface ProcessViews {
  readonly proxy: ProcessView;
  readonly cache: ProcessView;
}

export interface AdminSources {
  /** The address that the API was told to listen on. */
  host: string;
  processes: ProcessViews;
  readStats: () => ChannelStats;
  /** Rejects when the cache can not do it now. */
  purge: (purge: Purge) => Promise<NodesPurgeCount>;
  /** Undefined: nothing is shared. */
  sharedStatus: () => SharedStatus | undefined;
  renderMetrics: () => Promise<{ contentType: string; text: string }>;
  explaining: ExplainSources;
  live: LiveView;
  /** What the dashboard says about whom it shows. */
  about: { channel: string; version: string; limits: TierLimits };
}

const PURGE_BYTES_MAX = 64 * 1024;

/**
 * The admin API: `/healthz`, `/readyz`, `/metrics`, `/api/stats`, `/api/purge`, `/api/explain`, and the dashboard with its stream, `/` and `/api/live`. Answers nobody who calls it by a foreign name, and sends no CORS
 * fields, so that no web page of another origin reads it.
 */
export function adminApp(sources: AdminSources): Hono {
  const { host, processes, readStats, purge, sharedStatus, renderMetrics, explaining, live, about } = sources;
  const app = new Hono();
  app.use(async (context, next) => {
    if (!isAdminHost(context.req.header("host") ?? null, host)) {
      return context.json(
        { error: "the Host of this request names no address of the admin API; give it with --admin-host" },
        421,
      );
    }
    await next();
    context.header("cache-control", "no-store");
    context.header("x-content-type-options", "nosniff");
    return undefined;
  });
  app.get("/healthz", (context) => context.json({ status: "alive", pid: process.pid }));
  app.get("/readyz", (context) => {
    const { proxy, cache } = processes;
    const isReady = proxy.isReady && cache.isReady;
    const degraded = isReady ? degradedParts(readStats(), sharedStatus()) : [];
    const status = isReady ? (degraded.length === 0 ? "ready" : "degraded") : "not-ready";
    return context.json({ status, proxy: proxy.isReady, cache: cache.isReady, degraded }, isReady ? 200 : 503);
  });
  app.get("/api/stats", (context) => {
    const { proxy, cache } = processes;
    return context.json({
      ...readStats(),
      restarts: { proxy: proxy.restarts, cache: cache.restarts },
      stalls: { proxy: proxy.stalls, cache: cache.stalls },
      shared: sharedStatus() ?? null,
    });
  });
  app.post("/api/purge", async (context) => {
    const foreign = foreignReason(context);
    if (foreign !== undefined) return context.json({ error: foreign }, foreign.startsWith("send") ? 415 : 403);
    const text = await context.req.text();
    if (text.length > PURGE_BYTES_MAX) return context.json({ error: "a purge is not that long" }, 413);
    const wanted = readPurgeRequest(parsed(text));
    if (typeof wanted === "string") return context.json({ error: wanted }, 400);
    try {
      const { responses: purged, bodyBytes, nodes } = await purge(wanted);
      const { soft, dryRun } = wanted;
      const answer: PurgeAnswer = { purged, bodyBytes, soft, dryRun, ...(nodes !== undefined && { nodes }) };
      return context.json(answer);
    } catch (error) {
      return context.json({ error: messageOf(error) }, 503);
    }
  });
  app.get("/api/explain", (context) => explainByQuery(context, explaining));
  app.post("/api/explain", async (context) => {
    const foreign = foreignReason(context);
    if (foreign !== undefined) return context.json({ error: foreign }, foreign.startsWith("send") ? 415 : 403);
    return explainByBody(context, explaining);
  });
  app.get("/metrics", async (context) => {
    const { contentType, text } = await renderMetrics();
    return context.body(text, 200, { "content-type": contentType });
  });
  app.get("/", async (context) => {
    const { html, securityPolicy } = await dashboardPage();
    return context.html(html, 200, { "content-security-policy": securityPolicy, "referrer-policy": "no-referrer" });
  });
  app.get("/api/live", (context) => liveStream(context, live, about, { processes, sharedStatus }));
  app.notFound((context) => context.json({ error: `nothing is at ${context.req.path}` }, 404));
  app.onError((error, context) => context.json({ error: error.message }, 500));
  return app;
}

/**
 * What does not work although requests are served: a disk that refuses is done without until it recovers, an origin that fails is left alone a while, and
 * so is the engine that nodes share through.
 */
function degradedParts({ cache, origins }: ChannelStats, shared: SharedStatus | undefined): string[] {
  const disk = (cache?.counters.storesDegradedOpen ?? 0) > 0 ? ["disk"] : [];
  const failing = origins.filter(({ restingThreads }) => restingThreads > 0);
  const isCutOff = shared?.state === "alone" || (cache?.counters.sharedBreakersOpen ?? 0) > 0;
  return [...disk, ...failing.map(({ origin }) => `origin ${origin}`), ...(isCutOff ? ["shared"] : [])];
}

/**
 * Why a request that changes something is not one of ours (CHECKLIST 42): a web page of another origin can send a POST, but neither this content type
 * nor without these fields.
 */
function foreignReason({ req }: Context): string | undefined {
  const site = req.header("sec-fetch-site");
  if (site !== undefined && site !== "same-origin" && site !== "none")
    return "web pages of other origins change nothing here";
  const origin = req.header("origin");
  if (origin !== undefined && URL.parse(origin)?.host !== req.header("host"))
    return "web pages of other origins change nothing here";
  const type = req.header("content-type")?.split(";")[0]?.trim().toLowerCase();
  return type === "application/json" ? undefined : "send JSON, as content-type application/json";
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
