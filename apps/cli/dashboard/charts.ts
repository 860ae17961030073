import uPlot from "uplot";
import type { Sample, Series } from "../src/live/sample.ts";
import { count, duration, size, text } from "./format.ts";
import { byId } from "./page.ts";
import { color } from "./theme.ts";

const SECONDS_MAX = 600;
const SYNC = "webproxy";

type Values = (number | null)[];
export type Columns = { at: number[] } & Record<Series, Values>;

interface Line {
  label: string;
  series: Series;
  /** Name of its colour. */
  color: string;
}

/** What has been seen of the last ten minutes. */
export class History {
  readonly columns: Columns;

  constructor(columns: Columns) {
    this.columns = columns;
  }

  add(sample: Sample): void {
    const { at } = this.columns;
    if (at.length > 0 && sample.at <= at.at(-1)!) return;
    // A gap shows as one.
    if (at.length > 0 && sample.at - at.at(-1)! > 5) this.#push(at.at(-1)! + 1, () => null);
    this.#push(sample.at, (name) => sample[name]);
  }

  #push(at: number, of: (name: Series) => number | null): void {
    const { at: times, ...series } = this.columns;
    times.push(at);
    for (const [name, values] of Object.entries(series)) values.push(of(name as Series));
    if (times.length > SECONDS_MAX) for (const values of Object.values(this.columns)) values.shift();
  }
}

/** One chart over the last ten minutes. Stacked: each line stands on those after it. */
class Chart {
  readonly #host: HTMLElement;
  readonly #lines: readonly Line[];
  readonly #isStacked: boolean;
  readonly #format: (value: number | null) => string;
  readonly #history: History;
  readonly #isLog: boolean;
  #plot: uPlot | undefined;

  constructor(
    id: string,
    history: History,
    options: { lines: readonly Line[]; isStacked?: boolean; isLog?: boolean; format: (value: number | null) => string },
  ) {
    this.#host = byId(id);
    this.#history = history;
    this.#lines = options.lines;
    this.#isStacked = options.isStacked ?? false;
    this.#isLog = options.isLog ?? false;
    this.#format = options.format;
    new ResizeObserver(() => this.#resize()).observe(this.#host);
  }

  /** Draws it anew, in the colours of now. */
  build(): void {
    this.#plot?.destroy();
    const format = this.#format;
    const axis = { stroke: color("muted"), grid: { stroke: color("line"), width: 1 }, ticks: { show: false } };
    this.#plot = new uPlot(
      {
        ...this.#size(),
        cursor: { sync: { key: SYNC }, points: { size: 6 }, drag: { x: false, y: false }, y: false },
        scales: {
          x: { time: true },
          y: this.#isLog
            ? {
                distr: 3,
                range: (_, min, max) => [
                  10 ** Math.floor(Math.log10(min || 0.01)),
                  10 ** Math.ceil(Math.log10(max || 1)),
                ],
              }
            : { range: (_, __, max) => [0, max > 0 ? max * 1.08 : 1] },
        },
        axes: [
          { ...axis, space: 70, values: (_, times) => times.map(clock) },
          {
            ...axis,
            grid: { ...axis.grid, ...(this.#isLog && { filter: onlyPowersOfTen }) },
            size: 62,
            values: (_, values) => values.map((value) => (value === null ? "" : format(value))),
          },
        ],
        series: [
          { label: "", value: (_, at) => (at === null || at === undefined ? "" : clock(at)) },
          ...this.#lines.map((line, index) => ({
            label: line.label,
            stroke: color(line.color),
            width: 1.25,
            points: { show: false },
            spanGaps: false,
            value: (_: uPlot, __: number, ___: number, at: number | null) => this.#shown(index, at),
            ...(this.#isStacked && { fill: color(`${line.color}-fill`) }),
          })),
        ],
      },
      this.#data(),
      this.#host,
    );
  }

  update(): void {
    this.#plot?.setData(this.#data());
  }

  /** The value under the cursor, or the newest. */
  #shown(index: number, at: number | null): string {
    const values = this.#history.columns[this.#lines[index]!.series];
    return this.#format(values[at ?? values.length - 1] ?? null);
  }

  #data(): uPlot.AlignedData {
    const { columns } = this.#history;
    const raw = this.#lines.map(({ series }) => columns[series]);
    if (!this.#isStacked) return [columns.at, ...raw];
    // The first line is drawn first and is the sum of all: what is drawn later covers its lower part.
    const sums = raw.map((values) => values.slice());
    for (let line = sums.length - 2; line >= 0; line--)
      for (const [at, below] of sums[line + 1]!.entries()) if (sums[line]![at] !== null) sums[line]![at]! += below ?? 0;
    return [columns.at, ...sums];
  }

  #size(): { width: number; height: number } {
    return { width: Math.max(120, this.#host.clientWidth), height: 198 };
  }

  #resize(): void {
    if (this.#plot !== undefined && this.#plot.width !== this.#size().width) this.#plot.setSize(this.#size());
  }
}

/** The three charts of the page. */
export class Charts {
  readonly #charts: readonly Chart[];

  constructor(history: History) {
    const rate = (value: number | null) => text(count(value));
    const bytes = (value: number | null) => text(size(value));
    const ms = (value: number | null) => text(duration(value));
    this.#charts = [
      new Chart("chart-requests", history, {
        isStacked: true,
        format: rate,
        lines: [
          { label: "refused", series: "refused", color: "refused" },
          { label: "pass", series: "pass", color: "pass" },
          { label: "miss", series: "miss", color: "miss" },
          { label: "hit", series: "hit", color: "hit" },
          { label: "hot", series: "hot", color: "hot" },
        ],
      }),
      new Chart("chart-latency", history, {
        isLog: true,
        format: ms,
        lines: [
          { label: "99 %", series: "p99Ms", color: "miss" },
          { label: "90 %", series: "p90Ms", color: "hit" },
          { label: "50 %", series: "p50Ms", color: "hot" },
        ],
      }),
      new Chart("chart-bytes", history, {
        format: bytes,
        lines: [
          { label: "to clients", series: "sentBytes", color: "hit" },
          { label: "from origins", series: "originBytes", color: "miss" },
        ],
      }),
    ];
  }

  build(): void {
    for (const chart of this.#charts) chart.build();
  }

  update(): void {
    for (const chart of this.#charts) chart.update();
  }
}

function onlyPowersOfTen(_: uPlot, splits: number[]): (number | null)[] {
  return splits.map((value) => (Number.isInteger(Math.round(Math.log10(value) * 1e6) / 1e6) ? value : null));
}

function clock(seconds: number): string {
  return new Date(seconds * 1000).toLocaleTimeString("en-GB", {
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  });
}
