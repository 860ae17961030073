import { readdirSync } from "node:fs";
import {
  Doorbell,
  hasSharedMemoryFor,
  MessageQueue,
  objectName,
  registerFamily,
  SharedMemory,
  unregisterFamily,
} from "@proj/ipc";
import type { OriginSettings } from "@proj/origin";
import { Life, LoadedThreads, Thread, threadEntry } from "@proj/process";
import {
  channelNames,
  controlBlockBytes,
  defaultSite,
  type LogRecord,
  originNames,
  REQUEST_MESSAGE_BYTES_MAX,
  Site,
  type SiteSettings,
  SiteTable,
  shardOf,
  THREADS_MAX,
  targetHash,
} from "@proj/protocol/process";
import type { ExplainQuestion, Explanation } from "./explain/explanation.ts";
import { keySelectors } from "./key-selector.ts";
import type { NodesPurgeCount, Purge } from "./purge.ts";
import { Purges } from "./purges.ts";
import type { ShardAnswer, ShardQuestion, ShardThreadOptions, SharedOptions } from "./shard-thread-options.ts";
import type { SharedNode, SharedStatus } from "./shared/shared-node.ts";
import { PurgeJournal } from "./storage/purge-journal.ts";
import { StoreDirectory } from "./storage/store-directory.ts";

export interface CacheOptions {
  /** Names the IPC objects: the proxy of the same channel asks. */
  readonly channel: string;
  /** Threads, each owning a shard of the keys. 1 to 64. */
  readonly threads: number;
  /** `http:` or `https:`. What is asked for is fetched from its host; its path is the proxy's to join. */
  readonly origin?: URL;
  /** Origins that stand for it: they serve the same at the same path. The keys of what is stored name `origin`, whichever has answered. */
  readonly replicas?: readonly URL[];
  /** Several sites, each with origins of its own, in place of `origin` and `replicas`. */
  readonly sites?: readonly SiteSettings[] | undefined;
  /** How origins are asked; what is not named is as @proj/origin has it. */
  readonly originSettings?: OriginSettings | undefined;
  /** Where the disk tier lives; undefined: memory only. */
  readonly cacheDir: string | undefined;
  /** Limits of the tiers for all threads together; 0 turns a tier off. */
  readonly memoryBytes: number;
  readonly diskBytes: number;
  /** What this node shares with others; `node`: its name, unlike any other's of the deployment. */
  readonly shared?: (SharedOptions & { readonly node: string }) | undefined;
  readonly log: (record: LogRecord) => void;
}

type ShardThread = Thread<ShardThreadOptions, void, ShardQuestion, ShardAnswer>;
/** See {@link loadShardThreads}. */
export type LoadedShardThreads = LoadedThreads<ShardThread>;

/** An ordinary user's `msg_max`: a deeper queue is refused, and depth is not what makes a queue fast. */
const QUEUE_DEPTH = 10;
const STOP_MS = 2000;

/** A running cache process. */
export class RunningCache {
  readonly channel: string;
  /** Resolves when the cache can not go on: a thread has died. */
  readonly failed: Promise<Error>;
  readonly #life: Life;
  readonly #store: OpenStore | undefined;
  readonly #purges: Purges;
  readonly #threads: readonly ShardThread[];
  readonly #shared: SharedNode | undefined;
  #table: SiteTable<Site>;

  private constructor(
    life: Life,
    threads: readonly ShardThread[],
    {
      sites,
      store,
      purges,
      shared,
    }: { sites: readonly SiteSettings[]; store: OpenStore | undefined; purges: Purges; shared: SharedNode | undefined },
  ) {
    this.#store = store;
    this.#purges = purges;
    this.#shared = shared;
    this.channel = life.channel;
    this.#table = tableOf(sites);
    this.#life = life;
    this.#threads = threads;
    this.failed = Promise.race(threads.map((thread) => thread.died));
  }

  /** See {@link startCache}. */
  static async start(options: CacheOptions, loaded: LoadedShardThreads): Promise<RunningCache> {
    const names = channelNames(options.channel);
    const sites = sitesOf(options);
    const life = Life.begin({
      side: "cache",
      ...options,
      originNames: originNames(sites),
      goesOnWithFormer: !hasSharedMemoryFor([controlBlockBytes(options.threads)]),
      removeLeftovers: () => removeLeftovers(names),
    });
    const threads = loaded.take();
    while (threads.length < options.threads) threads.push(newShard(threads.length));
    let store: OpenStore | undefined;
    let shared: SharedNode | undefined;
    try {
      if (options.cacheDir !== undefined && options.diskBytes > 0) store = openStore(options.cacheDir);
      registerFamily(objectName(names.bodies)); // should this life end by kill -9, a cleaner knows whose they were
      for (let shard = 0; shard < options.threads; shard++) {
        const size = { maxmsg: QUEUE_DEPTH, msgsize: REQUEST_MESSAGE_BYTES_MAX };
        MessageQueue.create(objectName(names.requestQueue(shard)), size).close();
      }
      const started = threads.map((thread, shard) =>
        thread.start(shardOptions(options, sites, { life: life.number, shard, journal: store?.journal }), options.log),
      );
      await Promise.all(started);
      const purges = new Purges(store?.journal, async (purge) => {
        const answers = await Promise.all(threads.map((thread) => thread.ask({ about: "purge", purge })));
        return answers.filter((answer) => answer !== undefined && "responses" in answer);
      });
      shared = await joinDeployment(options, { threads, purges, directory: store?.directory });
      life.serve();
      const cache = new RunningCache(life, threads, { sites, store, purges, shared });
      cache.#purges.endPending(options.log).catch(() => {}); // a thread that has died is told by `failed`
      return cache;
    } catch (error) {
      await shared?.close();
      await Promise.all(threads.map((thread) => thread.stop(0)));
      removeLeftovers(names);
      store?.directory[Symbol.dispose]();
      life[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * What an operator wants out of the cache, of all threads. Once this resolves, nobody who asks gets any of it any more, from no tier of any
   * process, nor from the next life after a power cut; a soft purge leaves it to be validated. While it goes on nobody gets any of it either, and requests are answered.
   * In a deployment every node is told, and those that have done it too are named.
   *
   * @param purge Its targets are those that clients ask for.
   * @throws {ThreadError} A thread has died: the process is about to end, and so is what it had stored. Or what the medium said when it was to
   *   take the purge for the next life to know: it is done, in this one.
   */
  async purge(purge: Purge): Promise<NodesPurgeCount> {
    const { soft, dryRun } = purge;
    const selectors = keySelectors(purge.selector, this.#table);
    if (selectors.length === 0) return { responses: 0, bodyBytes: 0 };
    if (this.#shared !== undefined && !dryRun) return await this.#shared.purge({ selectors, soft });
    return await this.#purges.purge({ selectors, soft, dryRun });
  }

  /**
   * What would happen to a request now, and why. Nothing changes by it, and nobody is asked.
   *
   * @throws {TypeError} A field's name or value can not be one. {@link ThreadError} A thread has died: the process is about to end.
   */
  async explain(question: ExplainQuestion): Promise<Explanation> {
    const { wantedOf } = await import("./explain/wanted.ts");
    const wanted = wantedOf(question, this.#table);
    if ("outcome" in wanted) return wanted;
    const shard = shardOf(targetHash(wanted.keyTarget), this.#threads.length);
    const answer = await this.#threads[shard]!.ask({ about: "explain", wanted });
    if (answer === undefined || !("outcome" in answer)) throw new Error("The sites have just changed; ask again");
    return { ...answer, shard };
  }

  /** Calls `tell` with how this node stands to the others that it shares with, now and with each news; never where it shares nothing. */
  watchShared(tell: (status: SharedStatus) => void): void {
    this.#shared?.watch(tell);
  }

  /**
   * From now on these are the sites, for all threads once this resolves. What is under way for a former one ends as it began; what is stored stays.
   *
   * Tell the cache before the proxy: it still knows the former ones for a while.
   *
   * @throws {ThreadError} A thread has died: the process is about to end.
   */
  async useSites(sites: readonly SiteSettings[]): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.ask({ about: "sites", sites })));
    this.#life.nameOrigins(originNames(sites));
    this.#table = tableOf(sites);
  }

  /**
   * Ends every transfer, and removes every IPC object of this side.
   *
   * @param options.hasSuccessor Another process takes its place at once, when this one ends: the control block and the lock's file are left to it. Default: false.
   */
  async close({ hasSuccessor = false } = {}): Promise<void> {
    this.#life.stopping();
    await this.#shared?.close();
    await Promise.all(this.#threads.map((thread) => thread.stop(STOP_MS)));
    removeLeftovers(channelNames(this.channel));
    await this.#store?.journal.close();
    this.#store?.directory[Symbol.dispose]();
    if (!hasSuccessor) this.#life[Symbol.dispose]();
  }
}

/**
 * Starts a cache in this process: answers the proxy of the same channel, which may come later, from what is stored, or from the origin.
 *
 * @param loaded Threads that have been loaded ahead: it serves the sooner.
 * @throws {ChannelInUseError} Another cache has the channel. {@link StoreDirectoryError} The directory can not be used, or another process has it.
 *   {@link SystemCallError} An IPC object can not be made: `EMFILE` when the user's message queues are used up.
 *   {@link ThreadError} A thread could not start.
 * @example
 * const cache = await startCache({ channel: "default", threads: 2, origin: new URL("http://127.0.0.1:9000"), cacheDir: undefined,
 *   memoryBytes: 256 * 2 ** 20, diskBytes: 0, log: console.error });
 */
export function startCache(options: CacheOptions, loaded = loadShardThreads(0)): Promise<RunningCache> {
  return RunningCache.start(options, loaded);
}

/**
 * Loads the code of threads ahead of the start of a cache.
 *
 * @param count At most as many as it will have; it makes those that are missing.
 */
export function loadShardThreads(count: number): LoadedShardThreads {
  return new LoadedThreads(count, newShard);
}

/** Applies what the deployment has purged meanwhile before anything is served. */
async function joinDeployment(
  { shared, log }: CacheOptions,
  own: { threads: readonly ShardThread[]; purges: Purges; directory: StoreDirectory | undefined },
): Promise<SharedNode | undefined> {
  if (shared === undefined) return undefined;
  const { SharedNode } = await import("./shared/shared-node.ts");
  const { threads, purges, directory } = own;
  const node = new SharedNode({
    ...{ shared, node: shared.node, log, purges, directory: directory?.path },
    tell: async (news) => {
      await Promise.all(threads.map((thread) => thread.ask({ about: "shared", news })));
    },
  });
  await node.started();
  return node;
}

function sitesOf({ sites, origin, replicas = [] }: CacheOptions): readonly SiteSettings[] {
  if (sites !== undefined) return sites;
  if (origin === undefined) throw new TypeError("Cannot start without an origin: give origin, or sites");
  return [defaultSite([origin, ...replicas].map((url) => url.href))];
}

function tableOf(sites: readonly SiteSettings[]): SiteTable<Site> {
  return new SiteTable(sites.map((settings) => new Site(settings)));
}

/** The directory of the disk tier, and the purges that it may not have seen the end of. */
interface OpenStore {
  readonly directory: StoreDirectory;
  readonly journal: PurgeJournal;
}

function openStore(path: string): OpenStore {
  const directory = StoreDirectory.open(path);
  return { directory, journal: new PurgeJournal(directory.path) };
}

/** A shard's code is loaded from now on. */
function newShard(shard: number): ShardThread {
  return new Thread(`cache ${shard}`, threadEntry(import.meta.url, "shard-thread"));
}

function shardOptions(
  options: CacheOptions,
  sites: readonly SiteSettings[],
  { life, shard, journal }: { life: number; shard: number; journal: PurgeJournal | undefined },
): ShardThreadOptions {
  const { channel, cacheDir, threads } = options;
  return {
    channel,
    shard,
    life,
    shards: threads,
    sites,
    originSettings: options.originSettings ?? {},
    directory: cacheDir,
    memoryBytes: Math.floor(options.memoryBytes / threads),
    diskBytes: Math.floor(options.diskBytes / threads),
    purgesSeen: journal?.last ?? 0,
    purgesPending: journal?.pending ?? [],
    shared: options.shared,
  };
}

function removeLeftovers(names: ReturnType<typeof channelNames>): void {
  for (const file of readdirSync("/dev/shm")) {
    if (`/${file}`.startsWith(`${names.bodies}.`)) SharedMemory.unlink(objectName(`/${file}`));
  }
  for (let shard = 0; shard < THREADS_MAX; shard++) {
    MessageQueue.unlink(objectName(names.requestQueue(shard)));
    Doorbell.unlink(objectName(names.bell("cache", shard)));
  }
  unregisterFamily(objectName(names.bodies));
}
