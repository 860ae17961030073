import { objectName, SharedMemory, SystemCallError } from "@proj/ipc";
import {
  CACHE_COUNTERS,
  type CacheCounter,
  channelNames,
  PROXY_COUNTERS,
  type ProxyCounter,
  readControlBlock,
  readCounters,
  type Side,
  threadCounters,
} from "@proj/protocol";
import { isAlive } from "./process-identity.ts";

/** One process of a channel as it stands in its control block. Counters are sums over its threads, since it started. */
export interface SideStats<Counter extends string> {
  pid: number;
  state: "starting" | "serving" | "stopping" | "dead";
  threads: number;
  /** Milliseconds since the epoch. */
  startedAt: number;
  counters: Record<Counter, number>;
}

export interface ProxyStats extends SideStats<ProxyCounter> {
  segments: number;
  segmentBytes: number;
  httpPort: number;
  getfilePort: number;
}

/** What the processes of a channel have counted. The names are those of `/api/stats` and of `webproxy stats --json`: stable. */
export interface ChannelStats {
  channel: string;
  /** Answered from stored responses: by the cache, or by the proxy's hot tier without asking it. */
  hits: number;
  misses: number;
  portions: number;
  segmentsInUse: number;
  lostWakeups: number;
  refusedMessages: number;
  proxy: ProxyStats | null;
  cache: SideStats<CacheCounter> | null;
}

/**
 * Reads the counters of a channel out of shared memory, at any moment and whether the processes answer or not: nobody is asked.
 * A side that has never started, has ended in an orderly way, or has another layout is `null`.
 *
 * @throws {SystemCallError} `EACCES`: the channel belongs to another user.
 */
export function readChannelStats(channel: string): ChannelStats {
  const proxy = readProxy(channel);
  const cache = readSide(channel, "cache", CACHE_COUNTERS)?.stats ?? null;
  return {
    channel,
    hits: (proxy?.counters.hotHits ?? 0) + (cache?.counters.hits ?? 0),
    misses: cache?.counters.misses ?? 0,
    portions: proxy?.counters.portions ?? 0,
    segmentsInUse: proxy?.counters.segmentsHeld ?? 0,
    lostWakeups: (proxy?.counters.lostWakeups ?? 0) + (cache?.counters.lostWakeups ?? 0),
    refusedMessages: (proxy?.counters.refusedMessages ?? 0) + (cache?.counters.refusedMessages ?? 0),
    proxy,
    cache,
  };
}

function readProxy(channel: string): ProxyStats | null {
  const read = readSide(channel, "proxy", PROXY_COUNTERS);
  if (read === undefined) return null;
  const { segments, segmentBytes, httpPort, getfilePort } = read.block;
  return { ...read.stats, segments, segmentBytes, httpPort, getfilePort };
}

function readSide<Counter extends string>(channel: string, side: Side, names: readonly Counter[]) {
  using memory = openControlBlock(channel, side);
  if (memory === undefined) return undefined;
  const block = readControlBlock(memory.buffer);
  if (typeof block !== "object") return undefined;
  const { pid, threads, startedAt } = block;
  const pages = Array.from({ length: threads }, (_, thread) =>
    readCounters(names, threadCounters(memory.buffer, thread)),
  );
  const counters = Object.fromEntries(names.map((name) => [name, sum(pages.map((page) => page[name]))])) as Record<
    Counter,
    number
  >;
  const stats: SideStats<Counter> = { pid, state: isAlive(block) ? block.state : "dead", threads, startedAt, counters };
  return { block, stats };
}

function openControlBlock(channel: string, side: Side): SharedMemory | undefined {
  try {
    return SharedMemory.open(objectName(channelNames(channel).controlBlock(side)), { readOnly: true });
  } catch (error) {
    // ENOENT: there is none. EINVAL: it has a name and no length yet.
    if (error instanceof SystemCallError && (error.code === "ENOENT" || error.code === "EINVAL")) return undefined;
    throw error;
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
