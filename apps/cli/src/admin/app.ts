import { Hono } from "hono";
import type { ChannelStats } from "../channel-stats.ts";
import { isAdminHost } from "./host-check.ts";

/** One of the two processes, as its supervisor knows it. */
export interface ProcessView {
  readonly isReady: boolean;
  readonly pid: number | undefined;
  readonly restarts: number;
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
  renderMetrics: () => Promise<{ contentType: string; text: string }>;
}

/**
 * The admin API: `/healthz`, `/readyz`, `/metrics`, `/api/stats`. Answers nobody who calls it by a foreign name, and sends no CORS
 * fields, so that no web page of another origin reads it.
 */
export function adminApp({ host, processes, readStats, renderMetrics }: AdminSources): Hono {
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
    return context.json(
      { status: isReady ? "ready" : "not-ready", proxy: proxy.isReady, cache: cache.isReady },
      isReady ? 200 : 503,
    );
  });
  app.get("/api/stats", (context) => {
    const { proxy, cache } = processes;
    return context.json({ ...readStats(), restarts: { proxy: proxy.restarts, cache: cache.restarts } });
  });
  app.get("/metrics", async (context) => {
    const { contentType, text } = await renderMetrics();
    return context.body(text, 200, { "content-type": contentType });
  });
  app.notFound((context) => context.json({ error: `nothing is at ${context.req.path}` }, 404));
  app.onError((error, context) => context.json({ error: error.message }, 500));
  return app;
}
