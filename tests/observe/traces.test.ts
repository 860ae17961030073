/** OpenTelemetry: off unless it is asked for; then a client's trace goes on, through the cache and past it, and its spans reach a collector. */
import { describe, expect, test } from "bun:test";
import { CountingOrigin } from "../support/counting-origin.ts";
import { http } from "../support/http-client.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

const PATIENCE_MS = 20_000;
const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT = "00f067aa0ba902b7";
const SAMPLED = `00-${TRACE}-${PARENT}-01`;
const NOT_SAMPLED = `00-${TRACE}-${PARENT}-00`;

interface Span {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: { key: string; value: Record<string, unknown> }[];
  status: { code: number };
}

/** A collector that keeps what it gets; it can be away. */
function collector() {
  const spans: Span[] = [];
  const state = { isAway: false };
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      if (state.isAway) return new Response("away", { status: 503 });
      if (new URL(request.url).pathname !== "/v1/traces" || request.headers.get("content-type") !== "application/json")
        return new Response("no", { status: 400 });
      const { resourceSpans } = (await request.json()) as { resourceSpans: { scopeSpans: { spans: Span[] }[] }[] };
      for (const { scopeSpans } of resourceSpans) for (const scope of scopeSpans) spans.push(...scope.spans);
      return Response.json({});
    },
  });
  return { spans, state, url: `http://127.0.0.1:${server.port}`, [Symbol.dispose]: () => void server.stop(true) };
}

function originOf() {
  return CountingOrigin.start({
    "/stored": { body: Buffer.alloc(100, "s"), headers: { "Cache-Control": "max-age=600" } },
    "/broken": { status: 503 },
    "/posted": {},
  });
}

const traceparentIn = (head: string) => /^traceparent:[ \t]*(.*?)\r$/im.exec(head)?.[1];
const attribute = (span: Span, key: string) =>
  Object.values(span.attributes.find((one) => one.key === key)?.value ?? {})[0];

describe("traces", () => {
  test("off: what a client says of a trace passes as it is, and nothing is added", async () => {
    await using origin = originOf();
    await using webproxy = await Webproxy.start({ origin: origin.url });
    await http(webproxy.http, "/stored");
    await http(webproxy.http, "/posted", { method: "DELETE", headers: { Traceparent: SAMPLED, Tracestate: "a=b" } });
    expect(origin.requests.map(({ head }) => traceparentIn(head))).toEqual([undefined, SAMPLED]);
    expect(origin.requests[1]!.head).toMatch(/^tracestate: a=b\r$/im);
  }, 60_000);

  test("on: a client's trace goes on to the origin, and has a span for the request and one for asking the origin", async () => {
    using otlp = collector();
    await using origin = originOf();
    await using webproxy = await Webproxy.start({
      origin: origin.url,
      args: ["--otlp", otlp.url, "--trace-ratio", "0"],
    });
    const headers = { Traceparent: SAMPLED };
    await http(webproxy.http, "/stored?", { headers });
    await http(webproxy.http, "/stored", { headers });
    await http(webproxy.http, "/stored", { headers: { Traceparent: NOT_SAMPLED } });
    await http(webproxy.http, "/stored");
    for (let index = 0; index < 5; index++) await http(webproxy.http, "/stored", { headers });
    await http(webproxy.http, "/posted", { method: "DELETE", headers });
    await http(webproxy.http, "/broken", { headers });
    // Two to the origin for each but the hits: 404, miss, pass, 503; and 5 hits that are traced.
    const spans = await eventually(PATIENCE_MS, `13 spans`, () => otlp.spans.length >= 13 && otlp.spans);
    expect(spans).toHaveLength(13);
    for (const span of spans) {
      expect(span.traceId).toBe(TRACE);
      expect(span.spanId).toMatch(/^[0-9a-f]{16}$/);
      expect(BigInt(span.endTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(span.startTimeUnixNano));
      expect(Math.abs(Number(BigInt(span.startTimeUnixNano) / 1_000_000n) - Date.now())).toBeLessThan(120_000);
    }
    const own = spans.filter(({ kind }) => kind === 2);
    expect(own.map(({ parentSpanId }) => parentSpanId)).toEqual(own.map(() => PARENT));
    expect(own.filter((span) => /^(hit|hot)$/.test(String(attribute(span, "webproxy.cache.verdict"))))).toHaveLength(5);
    for (const { head } of origin.requests) {
      const asked = traceparentIn(head)!;
      const span = spans.find(({ spanId }) => asked === `00-${TRACE}-${spanId}-01`)!;
      expect(span.kind).toBe(3);
      expect(own.some(({ spanId }) => spanId === span.parentSpanId)).toBe(true);
    }
    const broken = own.find((span) => attribute(span, "url.path") === "/broken")!;
    expect([broken.status.code, attribute(broken, "http.response.status_code")]).toEqual([2, "503"]);
    expect(own.find((span) => span.name === "DELETE")?.status.code).toBe(0);
  }, 60_000);

  test("a part of the others is traced, and a collector that is away costs nobody a response", async () => {
    using otlp = collector();
    otlp.state.isAway = true;
    await using origin = originOf();
    await using webproxy = await Webproxy.start({
      origin: origin.url,
      args: ["--otlp", `${otlp.url}/`, "--trace-ratio", "1"],
    });
    expect((await http(webproxy.http, "/stored")).status).toBe("200");
    await eventually(PATIENCE_MS, "a complaint", () => webproxy.stderr.includes("Cannot send traces to"));
    expect(otlp.spans).toEqual([]);
    otlp.state.isAway = false;
    await eventually(PATIENCE_MS, "the spans", () => otlp.spans.length === 2);
    expect(otlp.spans[0]!.parentSpanId).toBeUndefined();
    expect(traceparentIn(origin.requests[0]!.head)).toBe(`00-${otlp.spans[0]!.traceId}-${otlp.spans[1]!.spanId}-01`);
    expect(webproxy.stderr.match(/Cannot send traces/g)).toHaveLength(1);
  }, 60_000);
});
