import { Doorbell, MessageQueue, objectName, SegmentPool, SharedMemory } from "@proj/ipc";
import { Life, Thread, threadEntry } from "@proj/process";
import {
  accessRingsBytes,
  channelNames,
  defaultSite,
  type GetfileWire,
  initAccessRings,
  type LogRecord,
  originNames,
  type SiteSettings,
  THREADS_MAX,
  wantAllRecords,
} from "@proj/protocol";
import { type ClientLimits, DEFAULT_CLIENT_LIMITS } from "./limits.ts";
import {
  claimChosenPort,
  claimOrSharePort,
  claimPort,
  type PortClaim,
  type PortHolder,
} from "./listeners/port-claim.ts";
import { Certificates, type TlsPair } from "./listeners/tls.ts";
import type { ListeningPorts, ProxyOrder, ProxyThreadOptions } from "./proxy-thread-options.ts";
import { TrustedPeers } from "./trusted-peers.ts";

export interface ProxyOptions {
  /** Names the IPC objects: the cache of the same channel is asked. */
  readonly channel: string;
  /** Threads, each with its own event loop, all accepting on the same ports. 1 to 64. */
  readonly threads: number;
  /** Segments in the pool, and the size of each in bytes. */
  readonly segments: number;
  readonly segmentBytes: number;
  /** Address of the two listeners. */
  readonly host: string;
  /** 0 takes a free port. */
  readonly httpPort: number;
  readonly getfilePort: number;
  readonly getfileWire: GetfileWire;
  /** Limit of the hot tiers of all threads together, in bytes; 0: every response crosses the channel. */
  readonly hotBytes: number;
  /** What clients ask for is joined to its path. What caching has no part in goes there from here. */
  readonly origin?: URL;
  /** Origins that stand for it: they serve the same at the same path. */
  readonly replicas?: readonly URL[];
  /** Several sites, each with origins of its own, in place of `origin` and `replicas`. */
  readonly sites?: readonly SiteSettings[] | undefined;
  /** Certificates in PEM that the origin's has to be signed by. Default: the platform's. */
  readonly originCa?: string | undefined;
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
  /** Which process is to be asked to end when another one takes the ports over. Default: this one. */
  readonly owner?: number;
  /** Where another webproxy of this user has a port: listen beside it, then ask it to end. It finishes what it has begun. Default: false, the start is refused. */
  readonly takesOver?: boolean;
  readonly log: (record: LogRecord) => void;
}

/** What may be another while it runs; as in {@link ProxyOptions}. */
export type ProxySettings = Required<Pick<ProxyOptions, "trustProxy" | "limits">> & {
  readonly sites: readonly SiteSettings[];
};

/** After this long an event loop has accepted what the kernel had queued for it, also on a machine that has much to do. */
const ACCEPTED_MS = 500;
/** How long open responses may go on when the proxy is closed. */
const GRACE_MS = 10_000;

/** What a running proxy has for itself, to be let go of when it ends. */
interface Holdings {
  readonly life: Life;
  readonly pool: SegmentPool;
  readonly threads: readonly ProxyThreadHandle[];
  readonly claims: readonly PortClaim[];
}

type ProxyThreadHandle = Thread<ProxyThreadOptions, ListeningPorts, ProxyOrder, void>;

/** A running proxy process. */
export class RunningProxy {
  readonly host: string;
  readonly httpPort: number;
  readonly getfilePort: number;
  /** Undefined without TLS. */
  readonly httpsPort: number | undefined;
  /** Resolves when the proxy can not go on: a thread has died. */
  readonly failed: Promise<Error>;
  readonly #life: Life;
  readonly #pool: SegmentPool;
  readonly #threads: readonly ProxyThreadHandle[];
  readonly #claims: readonly PortClaim[];

  private constructor(host: string, ports: ListeningPorts, { life, pool, threads, claims }: Holdings) {
    this.host = host;
    this.httpPort = ports.http;
    this.getfilePort = ports.getfile;
    this.httpsPort = ports.https;
    this.#life = life;
    this.#pool = pool;
    this.#threads = threads;
    this.#claims = claims;
    this.failed = Promise.race(threads.map((thread) => thread.died));
  }

  /** See {@link startProxy}. */
  static async start(options: ProxyOptions): Promise<RunningProxy> {
    // Refused here rather than in every thread.
    new TrustedPeers(options.trustProxy ?? []);
    if (options.tls !== undefined) new Certificates(options.tls.pairs);
    const claims = await claimPorts(options);
    try {
      const proxy = await RunningProxy.#startWith(options, claims);
      claims.push(...claimChosen(options, proxy));
      void proxy.#takeOver(options);
      return proxy;
    } catch (error) {
      for (const claim of claims) claim.release();
      throw error;
    }
  }

  static async #startWith(options: ProxyOptions, claims: readonly PortClaim[]): Promise<RunningProxy> {
    const names = channelNames(options.channel);
    const life = Life.begin({
      side: "proxy",
      ...options,
      originNames: originNames(sitesOf(options)),
      removeLeftovers: () => removeLeftovers(names),
    });
    let pool: SegmentPool | undefined;
    const threads: ProxyThreadHandle[] = [];
    try {
      // Step 1: the segments, and their ids in the free queue.
      pool = SegmentPool.create(objectName(names.pool), {
        segments: options.segments,
        segmentBytes: options.segmentBytes,
      });
      using rings = SharedMemory.create(objectName(names.access), accessRingsBytes(options.threads));
      initAccessRings(rings.buffer, { life: life.number, threads: options.threads });
      if (options.recordsAll === true) wantAllRecords(rings.buffer, Number.POSITIVE_INFINITY);
      const ports = await startThreads(options, life, threads);
      life.serve(ports);
      return new RunningProxy(options.host, ports, { life, pool, threads, claims });
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
    new Certificates(pairs);
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

  /** Those who have our ports too get no new connections from now on, and are asked to end once they have accepted what was on its way. */
  async #takeOver({ threads, log }: ProxyOptions): Promise<void> {
    const formers = new Map<number, PortHolder>();
    for (const { former } of this.#claims) if (former !== undefined) formers.set(former.pid, former);
    for (const { pid, listeners } of formers.values()) {
      log({ level: "info", message: `Taking over from process ${pid}, which finishes what it has begun` });
      await this.#threads[0]!.ask({ about: "connections", to: { first: listeners, count: threads } });
      await Bun.sleep(ACCEPTED_MS);
      askToEnd(pid, log);
      await Bun.sleep(ACCEPTED_MS);
      await this.#threads[0]!.ask({ about: "connections", to: undefined });
    }
  }

  /** Accepts no more, finishes what is open (at most 10 s), and removes every IPC object of this side. */
  async close(options: { graceMs: number } = { graceMs: GRACE_MS }): Promise<void> {
    this.#life.stopping();
    for (const claim of this.#claims) claim.release(); // who takes over has them from now on
    await Promise.all(this.#threads.map((thread) => thread.stop(options.graceMs)));
    this.#pool.unlink();
    this.#pool.close();
    removeLeftovers(channelNames(this.#life.channel)); // of threads that had to be ended
    this.#life[Symbol.dispose]();
  }
}

function askToEnd(pid: number, log: (record: LogRecord) => void): void {
  try {
    process.kill(pid, "SIGTERM");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ESRCH") return;
    log({ level: "error", message: `Cannot ask process ${pid} to end: ${code}; stop it by hand` });
  }
}

/** Those that the kernel was to choose. */
function claimChosen(options: ProxyOptions, { httpPort, getfilePort, httpsPort }: RunningProxy): PortClaim[] {
  const { host, tls } = options;
  const chosen: number[] = [];
  if (options.httpPort === 0) chosen.push(httpPort);
  if (options.getfilePort === 0) chosen.push(getfilePort);
  if (tls?.port === 0 && httpsPort !== undefined) chosen.push(httpsPort);
  return chosen.map((port) => claimChosenPort(host, port, ownerOf(options)));
}

function ownerOf({ owner = process.pid, threads }: ProxyOptions): PortHolder {
  return { pid: owner, listeners: threads };
}

/** All ports, or none. */
async function claimPorts(options: ProxyOptions): Promise<PortClaim[]> {
  const { host, httpPort, getfilePort, tls, takesOver = false } = options;
  const own = ownerOf(options);
  const claims: PortClaim[] = [];
  const claim = async (port: number, option: string) => {
    const claimed = takesOver ? await claimOrSharePort(host, port, option, own) : claimPort(host, port, option, own);
    if (claimed !== undefined) claims.push(claimed);
  };
  try {
    await claim(httpPort, "--http-port");
    await claim(getfilePort, "--getfile-port");
    if (tls !== undefined) await claim(tls.port, "--https-port");
    return claims;
  } catch (error) {
    for (const claim of claims) claim.release();
    throw error;
  }
}

/**
 * Starts a proxy in this process: listens for GETFILE and HTTP, and answers from the cache of the same channel, which may come later.
 *
 * @throws {TrustProxyError} `trustProxy` holds what is no address and no network. {@link TlsPairError} `tls` holds what is no certificate.
 *   {@link ChannelInUseError} Another proxy has the channel. {@link PortInUseError} `EADDRINUSE`. {@link SystemCallError} An IPC object
 *   can not be made: `ENOSPC` when /dev/shm is too small for the pool. {@link ThreadError} A thread could not start.
 * @example
 * const proxy = await startProxy({ channel: "default", threads: 2, segments: 64, segmentBytes: 262_144, host: "127.0.0.1",
 *   httpPort: 8080, getfilePort: 19121, getfileWire: "crlf", hotBytes: 64 * 2 ** 20, origin: new URL("http://127.0.0.1:9000"), log: console.error });
 */
export function startProxy(options: ProxyOptions): Promise<RunningProxy> {
  return RunningProxy.start(options);
}

/** The first thread takes the ports; the others join it there. */
async function startThreads(options: ProxyOptions, life: Life, threads: ProxyThreadHandle[]): Promise<ListeningPorts> {
  const start = (thread: number, ports: ListeningPorts) => {
    const { channel, host, getfileWire } = options;
    const threadOptions = {
      channel,
      thread,
      life: life.number,
      host,
      getfileWire,
      sites: sitesOf(options),
      httpPort: ports.http,
      getfilePort: ports.getfile,
      hotBytes: Math.floor(options.hotBytes / options.threads),
      originTls: options.originCa === undefined ? {} : { ca: options.originCa },
      trustProxy: options.trustProxy ?? [],
      limits: { ...DEFAULT_CLIENT_LIMITS, ...options.limits },
      traceRatio: options.traceRatio,
      tls: options.tls && { port: ports.https ?? options.tls.port, pairs: options.tls.pairs },
    };
    const entry = threadEntry(import.meta.url, "proxy-thread");
    const started: ProxyThreadHandle = new Thread(`proxy ${thread}`, entry, threadOptions, options.log);
    threads.push(started);
    return started.started;
  };
  const ports = await start(0, { http: options.httpPort, getfile: options.getfilePort, https: undefined });
  await Promise.all(Array.from({ length: options.threads - 1 }, (_, index) => start(index + 1, ports)));
  return ports;
}

function sitesOf({ sites, origin, replicas = [] }: ProxyOptions): readonly SiteSettings[] {
  if (sites !== undefined) return sites;
  if (origin === undefined) throw new TypeError("Cannot start without an origin: give origin, or sites");
  return [defaultSite([origin, ...replicas].map((url) => url.href))];
}

function removeLeftovers(names: ReturnType<typeof channelNames>): void {
  SegmentPool.unlinkAll(objectName(names.pool));
  SharedMemory.unlink(objectName(names.access));
  for (let thread = 0; thread < THREADS_MAX; thread++) {
    MessageQueue.unlink(objectName(names.noticeQueue(thread)));
    Doorbell.unlink(objectName(names.bell("proxy", thread)));
  }
}
