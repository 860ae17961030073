import packageJson from "../../package.json" with { type: "json" };
import type { TakenRecord } from "../access/feed.ts";

// The JSON of OTLP/HTTP: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
interface Attribute {
  key: string;
  value: { stringValue: string } | { intValue: string } | { doubleValue: number } | { boolValue: boolean };
}
export interface Span {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: Attribute[];
  status: { code: number };
}

const SERVER = 2;
const CLIENT = 3;
const ERROR = 2;

/** The spans of a traced request: its own, and, where it waited for the origin, that of asking it. None for one that is not traced. */
export function spansOf(record: TakenRecord): Span[] {
  const [traceId, spanId, originSpanId, parentSpanId] = record.trace.split(" ");
  if (traceId === undefined || spanId === undefined || originSpanId === undefined) return [];
  const { startedMs, totalMs, status, method, verdict, aborted } = record;
  const isError = status >= 500 || aborted;
  const own: Span = {
    traceId,
    spanId,
    ...(parentSpanId !== undefined && parentSpanId !== "" && { parentSpanId }),
    name: method,
    kind: SERVER,
    ...timesOf(startedMs, totalMs),
    attributes: attributesOf(record),
    status: { code: isError ? ERROR : 0 },
  };
  // Who waited for another's fill has not asked the origin.
  if (record.originMs === undefined || record.collapsed) return [own];
  const { originMs, firstByteMs = totalMs } = record;
  const origin: Span = {
    traceId,
    spanId: originSpanId,
    parentSpanId: spanId,
    name: `${method} origin`,
    kind: CLIENT,
    // It ended, with the head of the answer, just before the first byte went out.
    ...timesOf(startedMs + Math.max(0, firstByteMs - originMs), originMs),
    attributes: [text("http.request.method", method), text("webproxy.cache.verdict", verdict)],
    status: { code: 0 },
  };
  return [own, origin];
}

function timesOf(startedMs: number, ms: number) {
  return { startTimeUnixNano: nanos(startedMs), endTimeUnixNano: nanos(startedMs + ms) };
}

/** A wall clock of milliseconds is exact to a quarter of a microsecond. */
function nanos(ms: number): string {
  return `${BigInt(Math.round(ms * 1000)) * 1000n}`;
}

/** By the semantic conventions for HTTP, and what this proxy knows besides. */
function attributesOf(record: TakenRecord): Attribute[] {
  const { method, target, host, client, userAgent, status, bytes, verdict, stale, stored, collapsed } = record;
  const [path = "", query] = target.split("?", 2);
  return [
    text("http.request.method", method),
    text("url.path", path),
    ...(query === undefined ? [] : [text("url.query", query)]),
    text("url.scheme", record.isTls ? "https" : "http"),
    ...(host === "" ? [] : [text("server.address", host)]),
    ...(client === "" ? [] : [text("client.address", client)]),
    ...(userAgent === "" ? [] : [text("user_agent.original", userAgent)]),
    text("network.protocol.version", `1.${record.minorVersion}`),
    { key: "http.response.status_code", value: { intValue: String(status) } },
    { key: "webproxy.response.bytes", value: { intValue: String(bytes) } },
    text("webproxy.cache.verdict", verdict),
    ...Object.entries({ stale, stored, collapsed }).flatMap(([name, isSo]) =>
      isSo ? [{ key: `webproxy.cache.${name}`, value: { boolValue: true } }] : [],
    ),
    { key: "webproxy.thread", value: { intValue: String(record.thread) } },
  ];
}

function text(key: string, stringValue: string): Attribute {
  return { key, value: { stringValue } };
}

/** What one request to a collector holds. */
export function exportRequest(channel: string, spans: readonly Span[]): string {
  const attributes = [
    text("service.name", "webproxy"),
    text("service.version", packageJson.version),
    text("service.instance.id", channel),
  ];
  const scopeSpans = [{ scope: { name: "webproxy", version: packageJson.version }, spans }];
  return JSON.stringify({ resourceSpans: [{ resource: { attributes }, scopeSpans }] });
}
