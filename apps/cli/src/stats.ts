import { type ChannelStats, readChannelStats, type SideStats } from "./channel-stats.ts";
import { cannotRun } from "./command-error.ts";
import { withoutControls } from "./log-escapes.ts";
import type { TimingSummary } from "./timings.ts";

/**
 * Prints what the processes of a channel have counted.
 *
 * @returns The exit code, 0.
 * @throws {CommandError} Exit code 1: there is nothing of that channel.
 */
export async function runStats(channel: string, { asJson }: { asJson: boolean }): Promise<number> {
  const stats = readChannelStats(channel);
  if (stats.proxy === null && stats.cache === null) {
    throw cannotRun(
      `Cannot read the counters of channel "${channel}": no process of it runs for this user; name another with --channel, or start it with webproxy --channel ${channel}`,
    );
  }
  process.stdout.write(asJson ? `${JSON.stringify(stats, undefined, 2)}\n` : table(stats));
  return 0;
}

function table({ channel, origins, proxy, cache, timings, ...totals }: ChannelStats): string {
  const lines = [`channel ${channel}`, ...rows(totals)];
  for (const { origin, ...seen } of origins) lines.push("", `origin ${withoutControls(origin)}`, ...rows(seen));
  if (proxy !== null)
    lines.push(
      "",
      heading("proxy", proxy),
      ...rows({ segments: proxy.segments, segmentBytes: proxy.segmentBytes, ...proxy.counters }),
    );
  if (cache !== null) lines.push("", heading("cache", cache), ...rows(cache.counters));
  const measured = Object.entries(timings).filter(([, { count }]) => count > 0);
  if (measured.length > 0) lines.push("", "ms", ...timingRows(measured));
  return `${lines.join("\n")}\n`;
}

function heading(name: string, side: SideStats<string>): string {
  return `${name} ${side.state}, pid ${side.pid}, ${side.threads} threads, since ${new Date(side.startedAt).toISOString()}`;
}

function rows(values: Record<string, number>): string[] {
  const width = Math.max(...Object.keys(values).map((name) => name.length));
  return Object.entries(values).map(([name, value]) => `  ${name.padEnd(width)}  ${value}`);
}

/** A line for each distribution, its figures in columns. */
function timingRows(timings: readonly [string, TimingSummary][]): string[] {
  const width = Math.max(...timings.map(([name]) => name.length));
  const columns = ["p50", "p90", "p99", "p99.9", "count"].map((name) => name.padStart(10)).join("");
  const cell = (value: number | null) => String(value ?? "-").padStart(10);
  return [
    `  ${" ".repeat(width)}${columns}`,
    ...timings.map(
      ([name, { p50Ms, p90Ms, p99Ms, p999Ms, count }]) =>
        `  ${name.padEnd(width)}${[p50Ms, p90Ms, p99Ms, p999Ms, count].map(cell).join("")}`,
    ),
  ];
}
