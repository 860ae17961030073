/**
 * How long things took, as counts of durations by size: four buckets to each doubling, from 8 µs to 67 s, so that a quantile is told to within a fifth
 * of its value. One writer, its thread; readable at any moment, also when that thread hangs or is dead. All float64 (exact to 2^53):
 *
 *   slot   what
 *      0   sum of all durations, ms
 *      1   durations below 8 µs
 *   2-93   durations from BOUNDS_US[slot - 2] on, below the next bound
 *     94   durations of 2^26 µs (67 s) and more
 *     95   (zero)
 */
export const HISTOGRAM_SLOTS = 96;

const FIRST_POWER = 3;
const LAST_POWER = 26;
const BUCKETS = 2 + (LAST_POWER - FIRST_POWER) * 4;

/** Lower bound of each bucket but the first, µs. */
const BOUNDS_US: readonly number[] = Array.from(
  { length: BUCKETS - 1 },
  (_, index) => 2 ** (FIRST_POWER + (index >> 2)) * (1 + (index & 3) / 4),
);

/** A thread's own histogram: adds to it. */
export class Histogram {
  readonly #slots: Float64Array;

  /** @param slots {@link HISTOGRAM_SLOTS} of the thread's page. */
  constructor(slots: Float64Array) {
    this.#slots = slots;
  }

  /** @param weight How many durations this one stands for, where only some are measured. */
  add(ms: number, weight = 1): void {
    this.#slots[0]! += ms * weight;
    this.#slots[1 + bucketOf(ms * 1000)]! += weight;
  }
}

function bucketOf(us: number): number {
  if (us < 2 ** FIRST_POWER) return 0;
  if (us >= 2 ** LAST_POWER) return BUCKETS - 1;
  const whole = us | 0;
  const power = 31 - Math.clz32(whole);
  return 1 + (power - FIRST_POWER) * 4 + ((whole >> (power - 2)) & 3);
}

/** What a histogram, or several added up, held at one moment. */
export class HistogramReading {
  readonly sumMs: number;
  /** Durations in each bucket. */
  readonly counts: readonly number[];

  constructor(sumMs: number, counts: readonly number[]) {
    this.sumMs = sumMs;
    this.counts = counts;
  }

  /** All of them added up, slot by slot. */
  static sum(histograms: readonly Float64Array[]): HistogramReading {
    const total = (slot: number) => histograms.reduce((sum, slots) => sum + (slots[slot] ?? 0), 0);
    return new HistogramReading(
      total(0),
      Array.from({ length: BUCKETS }, (_, bucket) => total(1 + bucket)),
    );
  }

  plus(other: HistogramReading): HistogramReading {
    return new HistogramReading(
      this.sumMs + other.sumMs,
      this.counts.map((count, bucket) => count + other.counts[bucket]!),
    );
  }

  /** What has come since `earlier`; all of it when that was another life's, which had counted more. */
  since(earlier: HistogramReading): HistogramReading {
    const counts = this.counts.map((count, bucket) => count - earlier.counts[bucket]!);
    if (counts.some((count) => count < 0)) return this;
    return new HistogramReading(this.sumMs - earlier.sumMs, counts);
  }

  get count(): number {
    return this.counts.reduce((sum, count) => sum + count, 0);
  }

  /** The duration, in ms, that this part of all durations does not exceed: interpolated within its bucket. Undefined when there are none. */
  quantileMs(part: number): number | undefined {
    const wanted = this.count * part;
    if (this.count === 0) return undefined;
    let below = 0;
    for (const [bucket, count] of this.counts.entries()) {
      if (count > 0 && below + count >= wanted) {
        const from = bucket === 0 ? 0 : BOUNDS_US[bucket - 1]!;
        const to = BOUNDS_US[bucket] ?? from;
        return (from + (to - from) * ((wanted - below) / count)) / 1000;
      }
      below += count;
    }
    return BOUNDS_US.at(-1)! / 1000;
  }

  /** How many took less than each power of two, in seconds, from 8 µs on: what Prometheus wants. */
  cumulative(): { leSeconds: number; count: number }[] {
    let count = this.counts[0]!;
    const points: { leSeconds: number; count: number }[] = [];
    for (let power = FIRST_POWER; power <= LAST_POWER; power++) {
      points.push({ leSeconds: 2 ** power / 1e6, count });
      const first = 1 + (power - FIRST_POWER) * 4;
      for (let bucket = first; bucket < Math.min(first + 4, BUCKETS - 1); bucket++) count += this.counts[bucket]!;
    }
    return points;
  }
}
