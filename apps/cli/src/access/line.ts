import type { LogFormat } from "../log.ts";
import { combinedLine } from "../log-combined.ts";
import { escapeControls, withoutControls } from "../log-escapes.ts";
import { approximateSize } from "../size.ts";
import type { TakenRecord } from "./feed.ts";

/** The fields of a request as JSON has them: in the log, in `webproxy log --json`, in the dashboard's stream. The names are stable. */
export interface AccessEntry {
  time: string;
  client: string;
  method: string;
  target: string;
  host?: string;
  protocol: string;
  status: number;
  verdict: string;
  bytes: number;
  /** Milliseconds. Without `firstByteMs` nothing went out; without `originMs` the response did not wait for the origin. */
  firstByteMs?: number;
  totalMs: number;
  originMs?: number;
  thread: number;
  /** What else is true of it: aborted, stored, collapsed, stale, tls. */
  flags?: string[];
  /** How many requests it stands for, where not each was recorded. */
  weight?: number;
  referer?: string;
  userAgent?: string;
  traceId?: string;
}

export function entryOf(record: TakenRecord): AccessEntry {
  const { host, referer, userAgent, firstByteMs, originMs, weight, trace } = record;
  const flags = flagsOf(record);
  return {
    time: new Date(record.startedMs).toISOString(),
    client: record.client,
    method: record.method,
    target: record.target,
    ...(host !== "" && { host }),
    protocol: protocolOf(record),
    status: record.status,
    verdict: record.verdict,
    bytes: record.bytes,
    ...(firstByteMs !== undefined && { firstByteMs: rounded(firstByteMs) }),
    totalMs: rounded(record.totalMs),
    ...(originMs !== undefined && { originMs: rounded(originMs) }),
    thread: record.thread,
    ...(flags.length > 0 && { flags }),
    ...(weight !== 1 && { weight }),
    ...(referer !== "" && { referer }),
    ...(userAgent !== "" && { userAgent }),
    ...(trace !== "" && { traceId: trace.split(" ")[0]! }),
  };
}

function flagsOf({ aborted, stored, collapsed, stale, isTls }: TakenRecord): string[] {
  const flags = { aborted, stored, collapsed, stale, tls: isTls };
  return Object.entries(flags).flatMap(([name, isSo]) => (isSo ? [name] : []));
}

function protocolOf({ wire, minorVersion }: TakenRecord): string {
  return wire === "getfile" ? "GETFILE" : `HTTP/1.${minorVersion}`;
}

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

/** A request as one line of the log, with its line feed. What clients put into it can neither forge a line nor steer a terminal. */
export function accessLine(record: TakenRecord, format: LogFormat, isColored = false): string {
  switch (format) {
    case "json":
      return `${escapeControls(JSON.stringify({ level: "info", source: "access", message: "request", ...entryOf(record) }))}\n`;
    case "combined":
      return combined(record);
    case "pretty":
      return pretty(record, isColored);
  }
}

function combined(record: TakenRecord): string {
  const { client, method, target, status, bytes, referer, userAgent } = record;
  const request = { client, method: method || "-", target: target || "-", version: protocolOf(record), status, bytes };
  const named = { ...(referer !== "" && { referer }), ...(userAgent !== "" && { userAgent }) };
  return `${combinedLine({ level: "info", message: "request", ...request, ...named }, new Date(record.startedMs))}\n`;
}

/** The colour of what became of it: green came from here, yellow from the origin, cyan passed, red did not come. */
const COLOR: Readonly<Record<string, number>> = { hot: 32, hit: 32, pass: 36, refused: 31, malformed: 31 };
const YELLOW = 33;

function pretty(record: TakenRecord, isColored: boolean): string {
  const { verdict, status, method, target, firstByteMs, totalMs, originMs, bytes, thread, client } = record;
  const paint = (text: string, color: number) => (isColored ? `\x1b[${color}m${text}\x1b[0m` : text);
  const { protocol } = entryOf(record);
  const times = [
    firstByteMs === undefined ? "no byte" : `first ${milliseconds(firstByteMs)}`,
    `total ${milliseconds(totalMs)}`,
    ...(originMs === undefined ? [] : [`origin ${milliseconds(originMs)}`]),
  ];
  const words = [
    clock(record.startedMs),
    String(status || "-").padEnd(3),
    paint(verdict.padEnd(9), COLOR[verdict] ?? YELLOW),
    `${method || "-"} ${target || "-"} ${protocol}`,
    ...times,
    approximateSize(bytes),
    `thread ${thread}`,
    client || "-",
    ...flagsOf(record),
  ];
  return `${words.map((word) => (word.startsWith("\x1b[") ? word : String(withoutControls(word)))).join(" ")}\n`;
}

/** Three digits are enough to see by. */
export function milliseconds(ms: number): string {
  if (ms < 1) return `${Math.round(ms * 1000)}µs`;
  if (ms < 1000) return `${ms.toPrecision(3)}ms`;
  return `${(ms / 1000).toPrecision(3)}s`;
}

/** Hours to milliseconds, where this process is. */
function clock(ms: number): string {
  const date = new Date(ms);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}
