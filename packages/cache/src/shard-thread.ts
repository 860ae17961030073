import { objectName, SharedMemory } from "@proj/ipc";
import { OriginClient } from "@proj/origin";
import { isAlive, runThread } from "@proj/process";
import {
  bumpStripe,
  CACHE_COUNTERS,
  type CacheCounter,
  Counters,
  channelNames,
  type LogRecord,
  stripeVersions,
  threadCounters,
} from "@proj/protocol";
import { ChannelServer } from "./channel-server.ts";
import type { Purge, PurgeCount } from "./purge.ts";
import { Shard } from "./shard.ts";
import type { ShardThreadOptions } from "./shard-thread-options.ts";
import { DiskStorage } from "./storage/disk-storage.ts";
import { Loans } from "./storage/loans.ts";
import { MemoryStorage } from "./storage/memory-storage.ts";
import type { Storage } from "./storage/storage.ts";
import { TieredStorage } from "./storage/tiered-storage.ts";

/** How often the levels of the store are written into the counters. */
const LEVELS_MS = 100;

/** One thread of the cache: a shard, its store, its origin client, its end of the channel. */
class ShardThread {
  readonly #control: SharedMemory;
  readonly #loans: Loans;
  readonly #tiers: { memory: Storage | undefined; disk: Storage | undefined };
  readonly #storage: TieredStorage;
  readonly #origin: OriginClient;
  readonly #shard: Shard;
  readonly #channel: ChannelServer;
  readonly #counters: Counters<CacheCounter>;
  readonly #levels: ReturnType<typeof setInterval>;

  constructor(options: ShardThreadOptions, log: (record: LogRecord) => void) {
    const { channel, shard } = options;
    this.#control = SharedMemory.open(objectName(channelNames(channel).controlBlock("cache")));
    const counters = new Counters(CACHE_COUNTERS, threadCounters(this.#control.buffer, shard));
    this.#counters = counters;
    this.#loans = openLoans(options, log);
    this.#tiers = openTiers(options, this.#loans, counters, log);
    const versions = stripeVersions(this.#control.buffer, options.shards);
    const tiers = [this.#tiers.memory, this.#tiers.disk].filter((tier) => tier !== undefined);
    this.#storage = new TieredStorage(tiers, (stripe) => bumpStripe(versions, stripe));
    const originUrl = new URL(options.origin);
    this.#origin = new OriginClient({ origin: originUrl });
    this.#shard = new Shard({
      storage: this.#storage,
      origin: this.#origin,
      keyPrefix: originUrl.origin,
      versions,
      counters,
      log,
      nowMs: () => Date.now(),
      monotonicMs: () => performance.now(),
    });
    this.#channel = new ChannelServer({
      channel,
      shard,
      control: this.#control,
      counters,
      handler: this.#shard,
      isAlive,
    });
    this.#shard.connect(this.#channel);
    this.#levels = setInterval(() => this.#writeLevels(), LEVELS_MS);
  }

  purge(purge: Purge): PurgeCount {
    return this.#shard.purge(purge);
  }

  async stop(): Promise<void> {
    clearInterval(this.#levels);
    this.#channel.close();
    this.#origin.close();
    this.#storage.close();
    this.#control.close();
  }

  #writeLevels(): void {
    const { memory, disk } = this.#tiers;
    this.#counters.set("memoryBytes", memory?.usedBytes ?? 0);
    this.#counters.set("diskBytes", disk?.usedBytes ?? 0);
    this.#counters.set("loans", this.#loans.count);
    this.#counters.set("responsesStored", (memory?.count ?? 0) + (disk?.count ?? 0));
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
) {
  const { directory, memoryBytes, diskBytes } = options;
  const onEvict = () => counters.add("evictions");
  const onFault = (error: Error) => {
    counters.add("storeErrors");
    log({ level: "error", message: `The disk tier refused: ${error.message}. What is fetched is not kept there` });
  };
  const disk =
    directory !== undefined && diskBytes > 0 ? new DiskStorage(directory, diskBytes, onEvict, onFault) : undefined;
  const isOnlyTier = disk === undefined;
  return { memory: memoryBytes > 0 ? new MemoryStorage(memoryBytes, onEvict, loans, isOnlyTier) : undefined, disk };
}

runThread<ShardThreadOptions, void, Purge, PurgeCount>(async (options, log) => {
  const thread = new ShardThread(options, log);
  return { result: undefined, answer: (purge) => thread.purge(purge), stop: () => thread.stop() };
});
