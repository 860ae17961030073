import { objectName, type PoolPicture, SegmentPool } from "@proj/ipc";
import { channelNames, type HistogramReading } from "@proj/protocol";
import { AccessFeed, type TakenRecord } from "../access/feed.ts";
import { type AccessEntry, entryOf } from "../access/line.ts";
import { type ChannelReading, readChannel } from "../channel-stats.ts";
import { summariesOf, type TimingSummaries } from "../timings.ts";
import { type Sample, sampleBetween, type TimedReading } from "./sample.ts";
import { RecentTargets, type TopTargets } from "./top-targets.ts";

/** How long the past is that a dashboard shows when it is opened: ten minutes. */
const HISTORY_SECONDS = 600;
const RECENT_MAX = 200;
const TOP_COUNT = 12;
const SECOND_MS = 1000;
const MINUTE_SECONDS = 60;

/** The tiers' limits in bytes, where whoever looks knows them. */
export interface TierLimits {
  hot: number;
  memory: number;
  disk: number;
}

/** Everything about one channel that changes from second to second. */
export interface LiveState {
  reading: ChannelReading;
  /** Of the last second; undefined where there is nothing to compare. */
  sample: Sample | undefined;
  pool: PoolPicture | undefined;
  top: TopTargets;
  /** How long requests took within the last minute. */
  lastMinute: TimingSummaries;
}

/** Watches a channel: its counters once a second, its requests as they come. Reads shared memory, and asks nobody. */
export class LiveView {
  readonly #channel: string;
  readonly #feed: AccessFeed;
  readonly #targets = new RecentTargets();
  readonly #recent: TakenRecord[] = [];
  readonly #history: Sample[] = [];
  /** One for each second of the last minute, oldest first. */
  readonly #minute: TimedReading[] = [];
  readonly #onSecond = new Set<(state: () => LiveState) => void>();
  #taken = 0;
  #before: TimedReading | undefined;
  #now: TimedReading | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(channel: string) {
    this.#channel = channel;
    this.#feed = new AccessFeed({
      channel,
      wantsAll: false,
      from: "oldest",
      onRecords: (records) => this.#take(records),
    });
  }

  start(): void {
    this.#feed.start();
    this.#look();
    this.#timer = setInterval(() => this.#look(), SECOND_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#feed.stop();
  }

  /** Calls `told` after each look; returns how to end that. */
  eachSecond(told: (state: () => LiveState) => void): () => void {
    this.#onSecond.add(told);
    return () => this.#onSecond.delete(told);
  }

  /** The samples of the last ten minutes, oldest first. */
  get history(): readonly Sample[] {
    return this.#history;
  }

  /** As of the last look; the pool as it is now. */
  state(): LiveState {
    const now = this.#now ?? this.#look();
    return {
      reading: now.reading,
      sample: this.#before === undefined ? undefined : sampleBetween(this.#before, now),
      pool: SegmentPool.picture(objectName(channelNames(this.#channel).pool)),
      top: this.#targets.top(TOP_COUNT, now.atMs),
      lastMinute: timingsBetween(this.#minute[0]?.reading, now.reading),
    };
  }

  /**
   * Requests that have been seen after the first `seen`, the last of them only when there were very many; of hot hits a sample.
   *
   * @returns Them, and how many have been seen in all: what to ask with the next time.
   */
  requestsSince(seen: number, max = RECENT_MAX): { entries: AccessEntry[]; seen: number } {
    const count = Math.min(this.#taken - seen, this.#recent.length, max);
    const entries = count <= 0 ? [] : this.#recent.slice(-count).map((record) => entryOf(record));
    return { entries, seen: this.#taken };
  }

  #take(records: readonly TakenRecord[]): void {
    for (const record of records) this.#targets.add(record);
    this.#taken += records.length;
    this.#recent.push(...records.slice(-RECENT_MAX));
    if (this.#recent.length > RECENT_MAX) this.#recent.splice(0, this.#recent.length - RECENT_MAX);
  }

  #look(): TimedReading {
    this.#before = this.#now;
    const now = { atMs: Date.now(), reading: readChannel(this.#channel) };
    this.#now = now;
    this.#minute.push(now);
    if (this.#minute.length > MINUTE_SECONDS) this.#minute.shift();
    const sample = this.#before === undefined ? undefined : sampleBetween(this.#before, now);
    if (sample !== undefined) this.#history.push(sample);
    if (this.#history.length > HISTORY_SECONDS) this.#history.shift();
    let state: LiveState | undefined;
    const stateOnce = () => {
      state ??= this.state();
      return state;
    };
    for (const told of this.#onSecond) told(stateOnce);
    return now;
  }
}

function timingsBetween(before: ChannelReading | undefined, after: ChannelReading): TimingSummaries {
  const since = (
    now: Partial<Record<string, HistogramReading>>,
    then: Partial<Record<string, HistogramReading>> = {},
  ) =>
    Object.entries(now).map(([name, reading]) => [
      name,
      then[name] === undefined ? reading : reading!.since(then[name]),
    ]);
  return summariesOf(
    Object.fromEntries([
      ...since(after.proxyTimings ?? {}, before?.proxyTimings),
      ...since(after.cacheTimings ?? {}, before?.cacheTimings),
    ]),
  );
}
