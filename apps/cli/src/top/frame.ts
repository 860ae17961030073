import type { PoolPicture } from "@proj/ipc";
import type { AccessEntry } from "../access/line.ts";
import type { ChannelStats, SideStats } from "../channel-stats.ts";
import type { LiveState } from "../live/live-view.ts";
import type { Sample } from "../live/sample.ts";
import type { Ranking } from "../live/top-targets.ts";
import { totalsOf } from "../live/totals.ts";
import { amount, bytes, duration, ms, percent } from "./figures.ts";
import { bar, renderLine, type Style, sparkline, type TextLine } from "./text-line.ts";

/** What one frame shows. */
export interface FrameContent {
  state: LiveState;
  history: readonly Sample[];
  /** Newest last. */
  requests: readonly AccessEntry[];
  ranking: Ranking;
  nowMs: number;
}

export interface FrameSize {
  columns: number;
  rows: number;
  isColored: boolean;
}

/** The whole screen, line by line: never more than `rows` lines, none wider than `columns`. */
export function renderFrame(content: FrameContent, { columns, rows, isColored }: FrameSize): string[] {
  const { state, history } = content;
  const { stats } = state.reading;
  const above: TextLine[] = [
    headline(stats, content.nowMs),
    [],
    ...nowLines(state.sample, history, columns),
    [],
    ...poolLines(state.pool, columns),
    storeLine(stats),
    ...queueLines(stats),
    ...originLines(stats).slice(0, 3),
    [],
  ];
  const left = Math.max(0, rows - above.length - 3);
  const ranked = Math.min(state.top[content.ranking].length, Math.ceil(left / 2));
  const below: TextLine[] = [
    ...topLines(content, Math.max(3, ranked), columns),
    ...recentLines(content.requests, Math.max(0, left - Math.max(3, ranked) - 1)),
  ];
  const foot: TextLine = [["q quit  r b m top URLs by requests, bytes, misses", "dim"]];
  const body = [...above, ...below].slice(0, Math.max(0, rows - 1));
  return [...body, foot].slice(0, rows).map((line) => renderLine(line, columns, isColored));
}

function headline({ channel, proxy, cache }: ChannelStats, nowMs: number): TextLine {
  const side = (name: string, one: SideStats<string> | null): TextLine => {
    if (one === null) return [`  ${name} `, ["absent", "red"]];
    const style: Style = one.state === "serving" ? "green" : "red";
    return [
      `  ${name} `,
      [one.state, style],
      ` pid ${one.pid}, ${one.threads} threads, ${duration(one.startedAt, nowMs)}`,
    ];
  };
  return [["webproxy ", "bold"], channel, ...side("proxy", proxy), ...side("cache", cache)];
}

const KINDS = [
  ["hot", "green"],
  ["hit", "blue"],
  ["miss", "yellow"],
  ["pass", "magenta"],
  ["refused", "red"],
] as const;

function nowLines(sample: Sample | undefined, history: readonly Sample[], columns: number): TextLine[] {
  if (sample === undefined) return [[["nothing to compare yet", "dim"]]];
  const { requests, hitRatio } = totalsOf(sample);
  const cells = Math.max(10, Math.min(60, columns - 40));
  const kinds = KINDS.flatMap(([kind, style]): TextLine => [[`${kind} `, style], `${amount(sample[kind])}  `]);
  return [
    [
      ["requests ", "dim"],
      [`${amount(requests)}/s`, "bold"],
      ["   hit ratio ", "dim"],
      [percent(hitRatio), "bold"],
      ["   sent ", "dim"],
      [`${bytes(sample.sentBytes)}/s`, "bold"],
      ["   5xx ", "dim"],
      [`${amount(sample.errors)}/s`, (sample.errors ?? 0) > 0 ? "red" : "bold"],
    ],
    [
      ["latency  ", "dim"],
      `50% ${ms(sample.p50Ms)}  90% ${ms(sample.p90Ms)}  99% ${ms(sample.p99Ms)}`,
      ["   origin ", "dim"],
      `${amount(sample.originRequests)}/s, ${bytes(sample.originBytes)}/s, 90% ${ms(sample.originP90Ms)}`,
    ],
    kinds,
    [
      [
        sparkline(
          history.map((one) => totalsOf(one).requests),
          cells,
        ),
        "cyan",
      ],
      [" requests/s", "dim"],
    ],
  ];
}

const CELL: Record<string, readonly [string, Style]> = {
  held: ["█", "yellow"],
  stocked: ["▒", "blue"],
  queued: ["·", "dim"],
  missing: ["x", "red"],
};
/** Lines that a large pool may take; beyond that a cell stands for several segments. */
const POOL_LINES_MAX = 4;

function poolLines(pool: PoolPicture | undefined, columns: number): TextLine[] {
  if (pool === undefined) return [[["no segment pool", "dim"]]];
  const held = pool.states.filter((state) => state === "held").length;
  const title = `segments ${held} of ${pool.states.length} in use, ${bytes(pool.segmentBytes)} each, ${pool.waiting} threads wait, ${pool.replaced} replaced`;
  const width = Math.max(8, columns);
  const perCell = Math.ceil(pool.states.length / (width * POOL_LINES_MAX));
  const cells: (readonly [string, Style])[] = [];
  for (let id = 0; id < pool.states.length; id += perCell) {
    const group = pool.states.slice(id, id + perCell);
    const shown = ["missing", "held", "stocked"].find((state) => group.includes(state as never)) ?? "queued";
    cells.push(CELL[shown]!);
  }
  const lines: TextLine[] = [];
  for (let start = 0; start < cells.length; start += width) lines.push(cells.slice(start, start + width));
  return [[[title, "dim"]], ...lines];
}

function storeLine({ proxy, cache }: ChannelStats): TextLine {
  const { hotBytes, hotEntries } = proxy?.counters ?? {};
  const { memoryBytes, diskBytes, responsesStored, evictions, loans } = cache?.counters ?? {};
  return [
    ["tiers    ", "dim"],
    `hot ${bytes(hotBytes)} in ${amount(hotEntries)}  memory ${bytes(memoryBytes)}  disk ${bytes(diskBytes)}`,
    `  ${amount(responsesStored)} responses, ${amount(loans)} on loan, ${amount(evictions)} evicted`,
  ];
}

function queueLines({ proxy, cache, ...stats }: ChannelStats): TextLine[] {
  const { connectionsOpen, queueFull, segmentWaits, segmentTimeouts = 0 } = proxy?.counters ?? {};
  const { transfersOpen, fillsOpen } = cache?.counters ?? {};
  const open: TextLine = [
    ["open     ", "dim"],
    `connections ${amount(connectionsOpen)}  transfers ${amount(transfersOpen)}  fills ${amount(fillsOpen)}`,
    `  queue full ${amount(queueFull)}  segment waits ${amount(segmentWaits)}`,
  ];
  const { lostWakeups, refusedMessages, doubleGiveBacks, checksumFailures } = stats;
  if (lostWakeups + refusedMessages + doubleGiveBacks + checksumFailures + segmentTimeouts === 0) return [open];
  const wrong =
    `lost wake-ups ${lostWakeups}, refused messages ${refusedMessages}, segment time-outs ${segmentTimeouts}, ` +
    `double give-backs ${doubleGiveBacks}, checksum failures ${checksumFailures}`;
  return [
    open,
    [
      ["faults   ", "dim"],
      [wrong, "red"],
    ],
  ];
}

function originLines({ origins }: ChannelStats): TextLine[] {
  return origins.map(({ origin, asked, failures, restingThreads }) => [
    ["origin   ", "dim"],
    origin,
    `  asked ${amount(asked)}, failed ${amount(failures)}`,
    [
      restingThreads > 0 ? `  left alone by ${restingThreads} ${restingThreads === 1 ? "thread" : "threads"}` : "",
      "red",
    ],
  ]);
}

function topLines({ state, ranking }: FrameContent, count: number, columns: number): TextLine[] {
  const list = state.top[ranking].slice(0, count);
  const largest = list[0]?.amount ?? 1;
  const cells = columns >= 100 ? 16 : 8;
  const lines = list.map(({ target, amount: value }): TextLine => {
    const shown = (ranking === "bytes" ? bytes(value) : amount(value)).padStart(9);
    return [`${shown} `, [bar(value / largest, cells), "cyan"], ` ${target}`];
  });
  return [
    [
      ["top URLs ", "bold"],
      [`by ${ranking}, last ten minutes`, "dim"],
    ],
    ...lines,
  ];
}

function recentLines(requests: readonly AccessEntry[], count: number): TextLine[] {
  if (count <= 0) return [];
  const styleOf = (verdict: string): Style =>
    KINDS.find(([kind]) => kind === verdict)?.[1] ?? (verdict === "malformed" ? "red" : "yellow");
  const lines = requests
    .slice(-count)
    .reverse()
    .map(
      (entry): TextLine => [
        `${entry.time.slice(11, 19)} ${String(entry.status || "-").padEnd(3)} `,
        [entry.verdict.padEnd(9), styleOf(entry.verdict)],
        ` ${ms(entry.totalMs).padStart(7)} ${bytes(entry.bytes).padStart(8)}  ${entry.method} ${entry.target}`,
      ],
    );
  return [
    [
      ["recent requests ", "bold"],
      ["UTC; of hot hits a sample", "dim"],
    ],
    ...lines,
  ];
}
