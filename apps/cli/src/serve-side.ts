import type {
  ExplainQuestion,
  Explanation,
  LoadedShardThreads,
  NodesPurgeCount,
  Purge,
  SharedStatus,
} from "@proj/cache";
import { loadLibrary, SystemCallError } from "@proj/ipc";
import type { SiteSettings } from "@proj/protocol";
import type { ClientSockets, LoadedProxyThreads } from "@proj/proxy";
import type { Credentials } from "./certificates.ts";
import { messageOf } from "./command-error.ts";
import type { Log } from "./log.ts";
import type { Options } from "./options.ts";
import { aborted } from "./stop-request.ts";
import { uncaughtError } from "./uncaught.ts";

export type SideName = "proxy" | "cache";

/** What a process goes by. */
export interface SideSettings {
  readonly options: Options;
  /** Their origins by URL. */
  readonly sites: readonly SiteSettings[];
  readonly credentials: Credentials;
  /** Of the proxy, where they have been opened for it. */
  readonly sockets?: ClientSockets;
}

/** A process's work, once it serves. */
export interface Serving {
  readonly httpPort?: number;
  readonly getfilePort?: number;
  readonly httpsPort?: number | undefined;
  /** Settles when it can not go on. */
  readonly failed: Promise<Error>;
  /** Only the cache has anything to purge. */
  purge?(purge: Purge): Promise<NodesPurgeCount>;
  /** Only the cache knows what is stored. */
  explain?(question: ExplainQuestion): Promise<Explanation>;
  /** From now on these hold, as far as they can while it runs. */
  configure(settings: SideSettings): Promise<void>;
  /** Only the cache shares anything: `tell` is called with each news of that. */
  watchShared?(tell: (status: SharedStatus) => void): void;
  /** @param options.hasSuccessor Leave to the process that comes next what it may have to go on with, where /dev/shm is full. */
  close(options: { graceMs: number; hasSuccessor: boolean }): Promise<void>;
}

/** Open requests may take this long once a stop is asked for: less than the supervisor waits before it kills. */
export const GRACE_MS = 8_000;
/**
 * When a thread has died: what the others are sending may go out if it is small. The sooner this process ends, the sooner its successor serves, and until
 * then nobody answers the connections that the dead thread had taken.
 */
const FAILED_GRACE_MS = 100;

/**
 * Runs the proxy or the cache in this process until a stop is asked for.
 *
 * @param start Of {@link START}, or what {@link loadWhole} gives.
 * @param onReady Called once it serves.
 * @param options.graceMs How long open requests may take then.
 * @param options.isSupervised Another process takes its place when it can not go on.
 * @throws Whatever keeps it from running, or from going on.
 */
export async function serveUntil(
  stopped: AbortSignal,
  start: () => Promise<Serving>,
  onReady: (serving: Serving) => void,
  { graceMs = (): number => GRACE_MS, isSupervised = false } = {},
): Promise<void> {
  if (stopped.aborted) return;
  const serving = await start();
  const uncaught = uncaughtError();
  let hasFailed = false;
  try {
    if (stopped.aborted) return;
    onReady(serving);
    const failure = await Promise.race([aborted(stopped), serving.failed, uncaught]);
    if (failure === undefined) return;
    hasFailed = true;
    throw failure;
  } finally {
    await serving.close({
      graceMs: Math.min(graceMs(), hasFailed ? FAILED_GRACE_MS : GRACE_MS),
      hasSuccessor: hasFailed && isSupervised,
    });
  }
}

/** What this command's options can do about it, where the error itself only knows the kernel's. */
function furtherAdvice(error: unknown): string {
  const isQueueLimit = error instanceof SystemCallError && error.syscall === "mq_open" && error.code === "EMFILE";
  return isQueueLimit ? "; or give fewer --threads, of which each takes a queue in each process" : "";
}

/** Why it could not run, or not go on, for a person to read. */
export function complaintOf(error: unknown): string {
  return `${messageOf(error)}${furtherAdvice(error)}`;
}

/** Loads the code of a side ahead of its start. */
export function loadSide(side: SideName): void {
  void LOAD[side]().catch(() => {}); // its start will say so
}

const LOAD = {
  proxy: () => import("./start-proxy.ts"),
  cache: () => import("./start-cache.ts"),
};

type StartSide = (settings: SideSettings, log: Log) => Promise<Serving>;

export const START: Record<SideName, StartSide> = {
  proxy: (settings, log) => startAsProxy(settings, log),
  cache: (settings, log) => startAsCache(settings, log),
};

/** Loads the code of a side and of so many threads of it: the start that this resolves to has little left to do. */
export async function loadWhole(side: SideName, threads: number): Promise<StartSide> {
  loadLibrary();
  if (side === "proxy") {
    const loaded = (await import("@proj/proxy")).loadProxyThreads(threads);
    await LOAD.proxy();
    return (settings, log) => startAsProxy(settings, log, loaded);
  }
  const loaded = (await import("@proj/cache")).loadShardThreads(threads);
  await LOAD.cache();
  return (settings, log) => startAsCache(settings, log, loaded);
}

async function startAsProxy(settings: SideSettings, log: Log, loaded?: LoadedProxyThreads): Promise<Serving> {
  const { configureProxy, startProxySide } = await LOAD.proxy();
  const proxy = await startProxySide(settings, log, loaded);
  return {
    httpPort: proxy.httpPort,
    getfilePort: proxy.getfilePort,
    httpsPort: proxy.httpsPort,
    failed: proxy.failed,
    configure: (live) => configureProxy(proxy, live),
    close: (how) => proxy.close(how),
  };
}

async function startAsCache(settings: SideSettings, log: Log, loaded?: LoadedShardThreads): Promise<Serving> {
  const { startCacheSide } = await LOAD.cache();
  const cache = await startCacheSide(settings, log, loaded);
  return {
    failed: cache.failed,
    purge: (purge) => cache.purge(purge),
    explain: (question) => cache.explain(question),
    watchShared: (tell) => cache.watchShared(tell),
    configure: ({ sites }) => cache.useSites(sites),
    close: (how) => cache.close(how),
  };
}
