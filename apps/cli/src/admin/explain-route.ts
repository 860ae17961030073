import type { ExplainQuestion, Explanation } from "@proj/cache";
import type { Context } from "hono";
import { messageOf } from "../command-error.ts";
import { type ExplainAnswer, readExplainRequest } from "../explain/request.ts";

const FETCH_TIMEOUT_MS = 30_000;

export interface ExplainSources {
  /** Rejects when the cache can not tell now. */
  explain: (question: ExplainQuestion) => Promise<Explanation>;
  /** Where clients speak HTTP: `127.0.0.1:8080`. */
  httpAddress: () => string;
}

/** `GET /api/explain?url=&method=&header=`: what would happen to a request. It asks nobody but the cache. */
export function explainByQuery(context: Context, sources: ExplainSources): Promise<Response> {
  const { req } = context;
  const method = req.query("method");
  return answer(context, sources, {
    url: req.query("url"),
    ...(method !== undefined && { method }),
    headers: req.queries("header") ?? [],
  });
}

/** `POST /api/explain`: the same from JSON, and with `fetch` the request is made first, as a client's. */
export async function explainByBody(context: Context, sources: ExplainSources): Promise<Response> {
  const value: unknown = await context.req.json().catch(() => undefined);
  return answer(context, sources, value);
}

async function answer(context: Context, sources: ExplainSources, value: unknown): Promise<Response> {
  const read = readExplainRequest(value);
  if (typeof read === "string") return context.json({ error: read }, 400);
  const { question, url } = read;
  try {
    const fetched = read.fetch ? await fetchAsClient(question, sources.httpAddress()) : undefined;
    const explanation = await sources.explain(question);
    const told: ExplainAnswer = { url, ...explanation, ...(fetched !== undefined && { fetched }) };
    return context.json(told);
  } catch (error) {
    return context.json({ error: messageOf(error) }, 503);
  }
}

/** Through the proxy, like anybody else: what comes of it is what a client sees. */
async function fetchAsClient({ host, path, method, fields }: ExplainQuestion, address: string) {
  const headers = new Headers(fields.map(([name, value]) => [name, value] as [string, string]));
  if (host !== undefined) headers.set("host", host);
  const response = await fetch(`http://${address}${path}`, {
    method,
    headers,
    redirect: "manual",
    signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
  });
  await response.body?.pipeTo(new WritableStream());
  return { status: response.status, cacheStatus: response.headers.get("cache-status") };
}
