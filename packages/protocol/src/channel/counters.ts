/**
 * What each thread counts, in the order it is laid out in its page. Each page has one writer, so a count is a plain store of a
 * float64 (exact to 2^53), readable at any moment, also when the process hangs or is dead. Names ending in `Open`, `Held`, `Entries`, `Stored`, and `memoryBytes`,
 * `diskBytes`, `hotBytes`, `loans` are levels; all others only grow.
 */
export const PROXY_COUNTERS = [
  "connectionsAccepted",
  "connectionsOpen",
  "httpRequests",
  "getfileRequests",
  "malformedRequests",
  "hotHits",
  "hotBytes",
  "hotEntries",
  "responsesSent",
  "responsesAborted",
  "responsesRefused",
  "portions",
  "sentBytes",
  "segmentsHeld",
  "segmentWaits",
  "segmentTimeouts",
  "segmentsReplaced",
  "transfersParked",
  "queueFull",
  "messagesSent",
  "bellsRung",
  "lostWakeups",
  "refusedMessages",
  "cacheLosses",
  "loansBorrowed",
  "loansMissed",
  "passes",
  "originErrors",
  "connectionsRefused",
  "status2xx",
  "status3xx",
  "status4xx",
  "status5xx",
  "cacheStalls",
  "doubleGiveBacks",
] as const;

export const CACHE_COUNTERS = [
  "requests",
  "hits",
  "misses",
  "revalidations",
  "passes",
  "collapsed",
  "portions",
  "copiedBytes",
  "messagesReceived",
  "bellsRung",
  "lostWakeups",
  "refusedMessages",
  "originRequests",
  "originErrors",
  "originBytes",
  "transfersOpen",
  "fillsOpen",
  "responsesStored",
  "memoryBytes",
  "diskBytes",
  "evictions",
  "storeErrors",
  "loans",
  "storedBroken",
  "storesDegradedOpen",
  "sharedHits",
  "sharedMisses",
  "sharedWaits",
  "sharedRecovered",
  "sharedLookups",
  "sharedLookupMicros",
  "sharedFailures",
  "sharedBroken",
  "sharedWrites",
  "sharedDropped",
  "sharedReadBytes",
  "sharedWrittenBytes",
  "sharedAloneOpen",
  "sharedBreakersOpen",
  "unreadableMessages",
] as const;

/** What a proxy thread measures of the requests it answers, by what became of them; of hot hits a sample, weighted. */
export const PROXY_HISTOGRAMS = [
  "hotFirstByte",
  "hotTotal",
  "hitFirstByte",
  "hitTotal",
  "missFirstByte",
  "missTotal",
  "passFirstByte",
  "passTotal",
  "refusedFirstByte",
  "refusedTotal",
] as const;

/** What a cache thread measures: from asking the origin to the head of its answer, and to its end. */
export const CACHE_HISTOGRAMS = ["originFirstByte", "originTotal"] as const;

export type ProxyHistogram = (typeof PROXY_HISTOGRAMS)[number];
export type CacheHistogram = (typeof CACHE_HISTOGRAMS)[number];

export type ProxyCounter = (typeof PROXY_COUNTERS)[number];
export type CacheCounter = (typeof CACHE_COUNTERS)[number];

/** A thread's own page of counters: add to one, or set a level. */
export class Counters<Name extends string> {
  readonly #values: Float64Array;
  // An object, not a Map: where the name is a constant, the place is one too once the call is compiled.
  readonly #index: Readonly<Record<Name, number>>;

  /** @param values The thread's page, as {@link threadCounters} gives it. */
  constructor(names: readonly Name[], values: Float64Array) {
    this.#values = values;
    this.#index = Object.fromEntries(names.map((name, index) => [name, index])) as Record<Name, number>;
  }

  add(name: Name, amount = 1): void {
    this.#values[this.#index[name]]! += amount;
  }

  set(name: Name, value: number): void {
    this.#values[this.#index[name]] = value;
  }

  get(name: Name): number {
    return this.#values[this.#index[name]]!;
  }
}

/** All counters of one page by name. */
export function readCounters<Name extends string>(names: readonly Name[], values: Float64Array): Record<Name, number> {
  return Object.fromEntries(names.map((name, index) => [name, values[index] ?? 0])) as Record<Name, number>;
}
