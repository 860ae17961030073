import { objectName, SharedMemory } from "@proj/ipc";
import { healthRecord, OriginClient, statesByName } from "@proj/origin";
import { everyBeat, type Heartbeat, isAlive, runThread, startHeartbeat } from "@proj/process";
import {
  bumpStripe,
  CACHE_COUNTERS,
  type CacheCounter,
  Counters,
  channelNames,
  LAYOUT_VERSION,
  type LogRecord,
  originNames,
  type SiteSettings,
  shardOf,
  stripeArrivals,
  stripeVersions,
  threadCounters,
  threadHistogram,
  writeOriginCounts,
} from "@proj/protocol";
import { CacheSites } from "./cache-sites.ts";
import { ChannelServer } from "./channel-server.ts";
import { originTimes } from "./origin-times.ts";
import type { PurgeCount, ShardPurge, ShardPurgeCount } from "./purge.ts";
import { Shard } from "./shard.ts";
import type { ShardAnswer, ShardQuestion, ShardThreadOptions } from "./shard-thread-options.ts";
import type { SharedSide } from "./shared/shared-side.ts";
import { DiskStorage } from "./storage/disk-storage.ts";
import { Loans } from "./storage/loans.ts";
import { MemoryStorage } from "./storage/memory-storage.ts";
import { TieredStorage, type Tiers } from "./storage/tiered-storage.ts";
import { Upkeep } from "./storage/upkeep.ts";
import type { StoredResponse } from "./stored-response.ts";

/** How often the levels of the store are written into the counters: each 100 ms. */
const BEATS_PER_LEVELS = 2;

/** One thread of the cache: a shard, its store, its origin client, its end of the channel. */
class ShardThread {
  readonly #control: SharedMemory;
  readonly #loans: Loans;
  readonly #tiers: Tiers;
  readonly #storage: TieredStorage;
  readonly #upkeep: Upkeep;
  readonly #sites: CacheSites;
  #originNames: readonly string[];
  readonly #shared: SharedSide | undefined;
  readonly #shard: Shard;
  readonly #channel: ChannelServer;
  readonly #counters: Counters<CacheCounter>;
  readonly #levels: Heartbeat;
  readonly #heartbeat: Heartbeat;
  /** By number: purges of a former life that go on. */
  readonly #pending = new Map<number, Promise<PurgeCount>>();

  constructor(
    options: ShardThreadOptions,
    log: (record: LogRecord) => void,
    openShared: typeof import("./shared/open-shared.ts").openShared | undefined,
  ) {
    const { channel, shard } = options;
    this.#control = SharedMemory.open(objectName(channelNames(channel).controlBlock("cache")));
    this.#heartbeat = startHeartbeat(this.#control, shard);
    const counters = new Counters(CACHE_COUNTERS, threadCounters(this.#control.buffer, shard));
    this.#counters = counters;
    this.#loans = openLoans(options, log);
    this.#tiers = openTiers(options, this.#loans, counters, log);
    const versions = stripeVersions(this.#control.buffer, options.shards);
    const monotonicMs = () => performance.now();
    const changed = (stripe: number) => void bumpStripe(versions, stripe);
    this.#storage = new TieredStorage(this.#tiers, changed, monotonicMs, options.purgesSeen);
    this.#upkeep = new Upkeep(this.#tiers, this.#storage, monotonicMs, () => ({
      requests: counters.get("requests"),
      misses: counters.get("misses"),
    }));
    const clientOf = (origin: readonly URL[]) =>
      new OriginClient({ origin, ...options.originSettings, onHealth: (news) => log(healthRecord(news)) });
    this.#sites = new CacheSites(options.sites, clientOf, monotonicMs);
    this.#originNames = originNames(options.sites);
    const nowMs = () => Date.now();
    const { shared } = options;
    if (shared !== undefined) {
      this.#shared = openShared?.({ shared, shard, storage: this.#storage, counters, log, nowMs, monotonicMs });
    }
    this.#shard = new Shard({
      storage: this.#storage,
      shared: this.#shared,
      sites: this.#sites,
      owns: ownedBy(options),
      versions,
      arrivals: stripeArrivals(this.#control.buffer, options.shards),
      counters,
      originTimes: originTimes((index) => threadHistogram(this.#control.buffer, shard, index)),
      log,
      nowMs,
      monotonicMs,
    });
    // Before anybody can ask for anything.
    for (const purge of options.purgesPending) this.#pending.set(purge.number, this.#shard.purge(purge));
    this.#channel = new ChannelServer({
      channel,
      shard,
      control: this.#control,
      counters,
      handler: this.#shard,
      isAlive,
      onUnreadable: ({ message }) =>
        log({
          level: "error",
          message: `${message}: what the proxy asks of shard ${shard} is refused until that can be done, and it goes to the origin instead`,
        }),
      onOtherVersion: () =>
        log({
          level: "error",
          message: `A proxy of another release (its layout version is not ${LAYOUT_VERSION}) asks shard ${shard} of the cache and is refused: start both from one release`,
        }),
    });
    this.#shard.connect(this.#channel);
    this.#levels = everyBeat(() => {
      this.#writeLevels();
      writeOriginCounts(this.#control.buffer, shard, statesByName(this.#originNames, this.#sites.origins()));
    }, BEATS_PER_LEVELS);
  }

  async answer(question: ShardQuestion): Promise<ShardAnswer> {
    if (question.about === "purge") return this.#purge(question.purge);
    if (question.about === "explain") return this.#shard.explain(question.wanted);
    if (question.about === "shared") {
      this.#shard.hear(question.news);
      return undefined;
    }
    this.#use(question.sites);
    return undefined;
  }

  async #purge(purge: ShardPurge): Promise<ShardPurgeCount> {
    const leftBefore = this.#storage.filesLeft;
    const count = await (this.#pending.get(purge.number) ?? this.#shard.purge(purge));
    this.#pending.delete(purge.number);
    return { ...count, filesLeft: this.#storage.filesLeft - leftBefore };
  }

  #use(sites: readonly SiteSettings[]): void {
    this.#sites.use(sites);
    this.#originNames = originNames(sites);
  }

  async stop(): Promise<void> {
    this.#levels.stop();
    this.#channel.close();
    this.#shared?.tier.close();
    this.#sites.close();
    this.#upkeep.stop();
    this.#storage.close();
    await this.#tiers.disk?.endReads();
    this.#heartbeat.stop();
    this.#control.close();
  }

  #writeLevels(): void {
    const { memory, disk } = this.#tiers;
    this.#counters.set("memoryBytes", memory?.usedBytes ?? 0);
    this.#counters.set("diskBytes", disk?.usedBytes ?? 0);
    this.#counters.set("loans", this.#loans.count);
    this.#counters.set(
      "responsesStored",
      (memory?.count ?? 0) + (disk === undefined ? 0 : disk.count - disk.copies.count),
    );
    this.#counters.set("storesDegradedOpen", disk?.isDegraded === true ? 1 : 0);
    this.#counters.set("sharedBreakersOpen", this.#shared?.tier.openBreakers ?? 0);
  }
}

function openLoans({ channel, life, shard }: ShardThreadOptions, log: (record: LogRecord) => void): Loans {
  const message =
    "/dev/shm has no room for another body: large bodies are kept in private memory, and copied for each client";
  return new Loans(
    (loan) => channelNames(channel).body(life, shard, loan),
    () => log({ level: "warn", message }),
  );
}

function openTiers(
  options: ShardThreadOptions,
  loans: Loans,
  counters: Counters<CacheCounter>,
  log: (record: LogRecord) => void,
): Tiers {
  const { memoryBytes } = options;
  const disk = openDisk(options, counters, log);
  const events = {
    onEvict: (slot: number, response: () => StoredResponse) => {
      counters.add("evictions");
      disk?.copies.uncover(slot, response);
    },
    onRemove: (slot: number) => disk?.copies.drop(slot),
  };
  const memory = memoryBytes > 0 ? new MemoryStorage(memoryBytes, events, loans, disk === undefined) : undefined;
  return { memory, disk };
}

function ownedBy({ shard, shards }: ShardThreadOptions): (hash: number) => boolean {
  return (hash) => shardOf(hash, shards) === shard;
}

function openDisk(
  options: ShardThreadOptions,
  counters: Counters<CacheCounter>,
  log: (record: LogRecord) => void,
): DiskStorage | undefined {
  const { directory, shard, diskBytes } = options;
  if (directory === undefined || diskBytes === 0) return undefined;
  return new DiskStorage({
    directory,
    shard,
    owns: ownedBy(options),
    limitBytes: diskBytes,
    nowMs: () => performance.now(),
    onEvict: () => counters.add("evictions"),
    onFault: () => counters.add("storeErrors"),
    onMedium: (isGood, error) => {
      if (isGood) log({ level: "info", message: `The disk tier in ${directory} takes responses again` });
      else {
        const message = `The disk tier in ${directory} refuses: ${error?.message}. Responses are kept in memory only until it recovers`;
        log({ level: "error", message });
      }
    },
    onBroken: (error) => {
      counters.add("storedBroken");
      log({ level: "error", message: `${error.message}. It is dropped, and will be fetched anew` });
    },
  });
}

runThread<ShardThreadOptions, void, ShardQuestion, ShardAnswer>(async (options, log) => {
  const openShared = options.shared === undefined ? undefined : (await import("./shared/open-shared.ts")).openShared;
  const thread = new ShardThread(options, log, openShared);
  return { result: undefined, answer: (question) => thread.answer(question), stop: () => thread.stop() };
});
