import { Doorbell, hasSharedMemoryFor, MessageQueue, objectName, SegmentPool, SharedMemory } from "@proj/ipc";
import type { OriginSettings } from "@proj/origin";
import { Life, LoadedThreads, Thread, threadEntry } from "@proj/process";
import type { GetfileWire } from "@proj/protocol";
import {
  accessRingsBytes,
  channelNames,
  controlBlockBytes,
  defaultSite,
  initAccessRings,
  type LogRecord,
  originNames,
  type SiteSettings,
  THREADS_MAX,
  wantAllRecords,
} from "@proj/protocol/process";
import { type ClientLimits, DEFAULT_CLIENT_LIMITS } from "./limits.ts";
import { ClientPorts, type ClientSockets } from "./listeners/client-ports.ts";
import { checkTlsPairs, type TlsPair } from "./listeners/tls-pair.ts";
import type { ProxyOrder, ProxyThreadOptions } from "./proxy-thread-options.ts";
import { TrustedPeers } from "./trusted-peers.ts";

export interface ProxyOptions {
  /** Names the IPC objects: the cache of the same channel is asked. */
  readonly channel: string;
  /** Threads, each with its own event loop, all accepting on the same ports. 1 to 64. */
  readonly threads: number;
  /** Segments in the pool, and the size of each in bytes. */
  readonly segments: number;
  readonly segmentBytes: number;
  /** Address of the listeners. */
  readonly host: string;
  /** 0 takes a free port. */
  readonly httpPort: number;
  readonly getfilePort: number;
  /** Where another webproxy of this user has a port: listen beside it, then ask it to end. It finishes what it has begun. Default: false, the start is refused. */
  readonly takesOver?: boolean;
  /** Sockets that listen already on those ports, one for each thread; they are closed when the proxy is. Default: they are opened. */
  readonly sockets?: ClientSockets | undefined;
  readonly getfileWire: GetfileWire;
  /** Limit of the hot tiers of all threads together, in bytes; 0: every response crosses the channel. */
  readonly hotBytes: number;
  /** What clients ask for is joined to its path. What caching has no part in goes there from here. */
  readonly origin?: URL;
  /** Origins that stand for it: they serve the same at the same path. */
  readonly replicas?: readonly URL[];
  /** Several sites, each with origins of its own, in place of `origin` and `replicas`. */
  readonly sites?: readonly SiteSettings[] | undefined;
  /** How origins are asked; what is not named is as @proj/origin has it. */
  readonly originSettings?: OriginSettings | undefined;
  /** Addresses and networks (CIDR) of proxies in front of this one, whose word about the client is taken. Default: none. */
  readonly trustProxy?: readonly string[];
  /** What is not named is as in {@link DEFAULT_CLIENT_LIMITS}. */
  readonly limits?: Partial<ClientLimits>;
  /** HTTP over TLS on a port of its own; the first pair is for clients that name no host, or an unknown one. */
  readonly tls?: { readonly port: number; readonly pairs: readonly TlsPair[] };
  /** Every hot hit gets an access record, not a sample of them. Default false. */
  readonly recordsAll?: boolean;
  /** From 0 to 1: requests are traced whose client wants it, and this part of those that belong to no trace. Undefined: none is. */
  readonly traceRatio?: number | undefined;
  readonly log: (record: LogRecord) => void;
}

/** What may be another while it runs; as in {@link ProxyOptions}. */
export type ProxySettings = Required<Pick<ProxyOptions, "trustProxy" | "limits">> & {
  readonly sites: readonly SiteSettings[];
};

/** How long open responses may go on when the proxy is closed. */
const GRACE_MS = 10_000;

/** A thread that is well stops accepting in a millisecond when it is told to; for one that has not by then it is done. */
const REFUSED_AFTER_MS = 250;

/** What a running proxy has for itself, to be let go of when it ends. */
interface Holdings {
  readonly life: Life;
  readonly pool: SegmentPool;
  readonly threads: readonly ProxyThreadHandle[];
  readonly ports: ClientPorts;
}

type ProxyThreadHandle = Thread<ProxyThreadOptions, void, ProxyOrder, void>;
/** See {@link loadProxyThreads}. */
export type LoadedProxyThreads = LoadedThreads<ProxyThreadHandle>;

/** A running proxy process. */
export class RunningProxy {
  readonly httpPort: number;
  readonly getfilePort: number;
  /** Undefined without TLS. */
  readonly httpsPort: number | undefined;
  /** Resolves when the proxy can not go on: a thread has died. */
  readonly failed: Promise<Error>;
  readonly #life: Life;
  readonly #pool: SegmentPool;
  readonly #threads: readonly ProxyThreadHandle[];
  readonly #ports: ClientPorts;

  private constructor({ life, pool, threads, ports }: Holdings) {
    this.httpPort = ports.sockets.http.port;
    this.getfilePort = ports.sockets.getfile.port;
    this.httpsPort = ports.sockets.https?.port;
    this.#life = life;
    this.#pool = pool;
    this.#threads = threads;
    this.#ports = ports;
    this.failed = Promise.race(threads.map((thread) => thread.died));
  }

  /** See {@link startProxy}. */
  static async start(options: ProxyOptions, loaded: LoadedProxyThreads): Promise<RunningProxy> {
    // Refused here rather than in every thread.
    new TrustedPeers(options.trustProxy ?? []);
    if (options.tls !== undefined) await checkTlsPairs(options.tls.pairs);
    const ports = await portsOf(options);
    const threads = loaded.take();
    if (threads.length === 0) threads.push(newThread(0)); // its code is loaded while this thread makes what it needs
    try {
      const proxy = await RunningProxy.#startWith(options, ports, threads);
      void ports.takeOver(options.log);
      return proxy;
    } catch (error) {
      await Promise.all(threads.map((thread) => thread.stop(0)));
      ports.close();
      throw error;
    }
  }

  static async #startWith(
    options: ProxyOptions,
    ports: ClientPorts,
    threads: ProxyThreadHandle[],
  ): Promise<RunningProxy> {
    const names = channelNames(options.channel);
    const goesOnWithFormer = !hasRoom(options);
    const life = Life.begin({
      side: "proxy",
      ...options,
      originNames: originNames(sitesOf(options)),
      goesOnWithFormer,
      removeLeftovers: () => (goesOnWithFormer ? removeEnds(names) : removeLeftovers(names)),
    });
    let pool: SegmentPool | undefined;
    try {
      // Step 1: the segments, and their ids in the free queue.
      pool = goesOnWithFormer ? takeOverPool(options) : SegmentPool.create(objectName(names.pool), options);
      using rings = goesOnWithFormer ? takeOverRings(options) : createRings(options);
      initAccessRings(rings.buffer, { life: life.number, threads: options.threads });
      if (options.recordsAll === true) wantAllRecords(rings.buffer, Number.POSITIVE_INFINITY);
      while (threads.length < options.threads) threads.push(newThread(threads.length));
      const started = threads.map((one, thread) =>
        one.start(threadOptions(options, ports.sockets, { life: life.number, thread }), options.log),
      );
      await Promise.all(started);
      life.serve({ http: ports.sockets.http.port, getfile: ports.sockets.getfile.port });
      return new RunningProxy({ life, pool, threads, ports });
    } catch (error) {
      await Promise.all(threads.map((thread) => thread.stop(0)));
      pool?.unlink();
      pool?.close();
      removeLeftovers(names);
      life[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * New TLS connections get these certificates from now on, on all threads; open ones keep theirs.
   *
   * @throws {TlsPairError} One of them can not be used: then nothing changes.
   */
  async useCertificates(pairs: readonly TlsPair[]): Promise<void> {
    await checkTlsPairs(pairs);
    await Promise.all(this.#threads.map((thread) => thread.ask({ about: "certificates", pairs })));
  }

  /**
   * From now on these hold, on all threads, for new connections and for the next request on those that are open; what is under way ends as it began.
   *
   * The cache has to know the sites first.
   *
   * @throws {TrustProxyError} `trustProxy` holds what is no address and no network: then nothing changes.
   */
  async use({ sites, trustProxy, limits }: ProxySettings): Promise<void> {
    new TrustedPeers(trustProxy);
    const settings = { sites, trustProxy, limits: { ...DEFAULT_CLIENT_LIMITS, ...limits } };
    await Promise.all(this.#threads.map((thread) => thread.ask({ about: "settings", settings })));
    this.#life.nameOrigins(originNames(sites));
  }

  /** On the sockets of a thread that hangs the kernel would go on queueing clients, whom nobody accepts, for as long as the others have something to finish. */
  async #refuseClients(): Promise<void> {
    if (!this.#ports.isOwn) return this.#ports.close(); // a successor may go on with them
    const asked = this.#threads.map((thread) => thread.ask({ about: "no-more-clients" }));
    const haveStopped = Promise.all(asked).then(
      () => true,
      () => false,
    );
    if (await Promise.race([haveStopped, Bun.sleep(REFUSED_AFTER_MS).then(() => false)])) this.#ports.close();
    else this.#ports.end();
  }

  /**
   * Accepts no more, finishes what is open (at most 10 s), and removes every IPC object of this side.
   *
   * @param options.hasSuccessor Another process takes its place at once, when this one ends: what it may have to go on with is left to it. Default: false.
   */
  async close({ graceMs = GRACE_MS, hasSuccessor = false } = {}): Promise<void> {
    this.#life.stopping();
    await this.#refuseClients();
    await Promise.all(this.#threads.map((thread) => thread.stop(graceMs)));
    if (hasSuccessor) return this.#pool.close();
    this.#pool.unlink();
    this.#pool.close();
    removeLeftovers(channelNames(this.#life.channel)); // of threads that had to be ended
    this.#life[Symbol.dispose]();
  }
}

/**
 * Starts a proxy in this process: listens for GETFILE and HTTP, and answers from the cache of the same channel, which may come later.
 *
 * @param loaded Threads that have been loaded ahead: it serves the sooner.
 * @throws {TrustProxyError} `trustProxy` holds what is no address and no network. {@link TlsPairError} `tls` holds what is no certificate.
 *   {@link ChannelInUseError} Another proxy has the channel. {@link PortInUseError} `EADDRINUSE`. {@link SystemCallError} An IPC object
 *   can not be made: `ENOSPC` when /dev/shm is too small for the pool. {@link ThreadError} A thread could not start.
 * @example
 * const proxy = await startProxy({ channel: "default", threads: 2, segments: 64, segmentBytes: 262_144, host: "127.0.0.1",
 *   httpPort: 8080, getfilePort: 19121, getfileWire: "crlf", hotBytes: 64 * 2 ** 20, origin: new URL("http://127.0.0.1:9000"), log: console.error });
 */
export function startProxy(options: ProxyOptions, loaded = loadProxyThreads(0)): Promise<RunningProxy> {
  return RunningProxy.start(options, loaded);
}

/**
 * Loads the code of threads ahead of the start of a proxy.
 *
 * @param count At most as many as it will have; it makes those that are missing.
 */
export function loadProxyThreads(count: number): LoadedProxyThreads {
  return new LoadedThreads(count, newThread);
}

async function portsOf({ sockets, host, httpPort, getfilePort, tls, threads, takesOver = false }: ProxyOptions) {
  if (sockets !== undefined) return ClientPorts.handedDown(sockets);
  return await ClientPorts.open({ host, httpPort, getfilePort, httpsPort: tls?.port, threads, takesOver });
}

/** A thread's code is loaded from now on. */
function newThread(thread: number): ProxyThreadHandle {
  return new Thread(`proxy ${thread}`, threadEntry(import.meta.url, "proxy-thread"));
}

function threadOptions(
  options: ProxyOptions,
  { http, getfile, https }: ClientSockets,
  { life, thread }: { life: number; thread: number },
): ProxyThreadOptions {
  const { channel, getfileWire, tls, originSettings = {} } = options;
  return {
    channel,
    thread,
    life,
    getfileWire,
    sockets: http.fds.map((fd, index) => ({ http: fd, getfile: getfile.fds[index]!, https: https?.fds[index] })),
    tlsPairs: tls?.pairs ?? [],
    sites: sitesOf(options),
    hotBytes: Math.floor(options.hotBytes / options.threads),
    originSettings,
    trustProxy: options.trustProxy ?? [],
    limits: { ...DEFAULT_CLIENT_LIMITS, ...options.limits },
    traceRatio: options.traceRatio,
  };
}

function sitesOf({ sites, origin, replicas = [] }: ProxyOptions): readonly SiteSettings[] {
  if (sites !== undefined) return sites;
  if (origin === undefined) throw new TypeError("Cannot start without an origin: give origin, or sites");
  return [defaultSite([origin, ...replicas].map((url) => url.href))];
}

/** Whether there is memory for all that a proxy shares, beside what the one before it has left: as long as the cache still maps that, it is not free when its name goes. */
function hasRoom({ threads, segments, segmentBytes }: ProxyOptions): boolean {
  const pool = SegmentPool.lengths({ segments, segmentBytes });
  return hasSharedMemoryFor([controlBlockBytes(threads), accessRingsBytes(threads), ...pool]);
}

/** What the life before has left, or, as far as that will not do, what there is memory for. */
function takeOverPool(options: ProxyOptions): SegmentPool {
  const name = objectName(channelNames(options.channel).pool);
  const pool = SegmentPool.takeOver(name, options);
  if (pool !== undefined) {
    const { missing } = pool.counters();
    const message = `/dev/shm is full: the proxy goes on with what the one before it has left, ${options.segments - missing} of ${options.segments} segments until there is room for the others`;
    options.log({ level: "warn", message });
    return pool;
  }
  SegmentPool.unlinkAll(name);
  return SegmentPool.create(name, options);
}

function takeOverRings(options: ProxyOptions): SharedMemory {
  const name = objectName(channelNames(options.channel).access);
  const rings = SharedMemory.takeOver(name, accessRingsBytes(options.threads));
  if (rings === undefined) {
    SharedMemory.unlink(name);
    return createRings(options);
  }
  rings.bytes.fill(0);
  return rings;
}

function createRings({ channel, threads }: ProxyOptions): SharedMemory {
  return SharedMemory.create(objectName(channelNames(channel).access), accessRingsBytes(threads));
}

function removeLeftovers(names: ReturnType<typeof channelNames>): void {
  SegmentPool.unlinkAll(objectName(names.pool));
  SharedMemory.unlink(objectName(names.access));
  removeEnds(names);
}

/** The threads' ends of the channel, which take no memory of /dev/shm. */
function removeEnds(names: ReturnType<typeof channelNames>): void {
  for (let thread = 0; thread < THREADS_MAX; thread++) {
    MessageQueue.unlink(objectName(names.noticeQueue(thread)));
    Doorbell.unlink(objectName(names.bell("proxy", thread)));
  }
}
