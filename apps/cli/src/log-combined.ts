import type { LogRecord } from "@proj/protocol";
import { withoutControls } from "./log-escapes.ts";

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/**
 * A request in Apache's combined format: `client - - [time] "request line" status bytes "referer" "user agent"`. Undefined for a
 * record that is about no request, which is one without `method`, `target` and `status`.
 *
 * @see https://httpd.apache.org/docs/2.4/logs.html#combined
 */
export function combinedLine(record: LogRecord, now: Date = new Date()): string | undefined {
  const { client, method, target, version, status, bytes, referer, userAgent } = record as LogRecord &
    Record<string, unknown>;
  if (typeof method !== "string" || typeof target !== "string" || status === undefined) return undefined;
  const requestLine = quoted(typeof version === "string" ? `${method} ${target} ${version}` : `${method} ${target}`);
  return `${word(client)} - - [${clfTime(now)}] ${requestLine} ${word(status)} ${word(bytes)} ${quoted(referer)} ${quoted(userAgent)}`;
}

function quoted(value: unknown): string {
  if (typeof value !== "string") return '"-"';
  return `"${String(withoutControls(value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')))}"`;
}

function word(value: unknown): string {
  const text = String(value ?? "-");
  return /^[\x21-\x7e]+$/.test(text) ? text : "-";
}

/** `22/Nov/2026:10:00:00 +0000`, in UTC. */
function clfTime(now: Date): string {
  const [date = "", time = ""] = now.toISOString().split("T");
  const [year, month, day] = date.split("-");
  return `${day}/${MONTHS[Number(month) - 1]}/${year}:${time.slice(0, 8)} +0000`;
}
