import type { ExplainQuestion, Explanation, NodesPurgeCount, Purge, SharedStatus } from "@proj/cache";
import { SystemCallError } from "@proj/ipc";
import type { SiteSettings } from "@proj/protocol";
import { addressText } from "./address-text.ts";
import {
  type ChildMessage,
  type ChildSettings,
  readSupervisorMessage,
  type SupervisorMessage,
} from "./child-message.ts";
import { cannotRun, messageOf } from "./command-error.ts";
import type { Log } from "./log.ts";
import { Logs } from "./logs.ts";
import { OpenSites } from "./open-sites.ts";
import type { Options } from "./options.ts";
import { Reload } from "./reload.ts";
import { aborted, hangupMeans, type StopRequest } from "./stop-request.ts";
import { becomeUser, warnOfRoot } from "./user.ts";

export type SideName = "proxy" | "cache";

/** A process's work, once it serves. */
interface Serving {
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
  configure(options: Options, sites: readonly SiteSettings[]): Promise<void>;
  /** Only the cache shares anything: `tell` is called with each news of that. */
  watchShared?(tell: (status: SharedStatus) => void): void;
  close(options: { graceMs: number }): Promise<void>;
}

/** Open requests may take this long once a stop is asked for: less than the supervisor waits before it kills. */
const GRACE_MS = 8_000;
/**
 * When a thread has died: what the others are sending may go out if it is small. The sooner this process ends, the sooner its successor serves, and until
 * then nobody answers the connections that the dead thread had taken.
 */
const FAILED_GRACE_MS = 100;
/** And this long when the supervisor is dead: its successor wants the ports and the channel. */
const ORPHAN_GRACE_MS = 1_000;

/**
 * Runs the proxy or the cache in this process until a stop is asked for, or its supervisor is gone.
 *
 * @returns The exit code.
 * @throws {CommandError} Exit code 1, when nobody supervises it: it could not run, or not go on.
 */
export async function runSide(
  side: SideName,
  options: Options,
  given: { stop: StopRequest; isSupervised: boolean; hasFile: boolean },
): Promise<number> {
  const supervisor = given.isSupervised ? new SupervisorLink() : undefined;
  const stopped = AbortSignal.any([given.stop.asked, ...(supervisor === undefined ? [] : [supervisor.gone])]);
  becomeUser(options.user);
  await using logs = new Logs(options, side);
  try {
    // A supervisor does that by itself: it still can when the proxy has died.
    if (side === "proxy" && supervisor === undefined) logs.logRequests();
    if (supervisor !== undefined) await serveSupervised(stopped, side, options, logs.log, supervisor);
    else await serveAlone(stopped, side, options, logs.log, given.hasFile);
    return 0;
  } catch (error) {
    const message = `${messageOf(error)}${furtherAdvice(error)}`;
    if (supervisor === undefined) throw cannotRun(message, error);
    supervisor.send({ type: "failed", message });
    return 1;
  }
}

async function serveAlone(
  stopped: AbortSignal,
  side: SideName,
  options: Options,
  log: Log,
  hasFile: boolean,
): Promise<void> {
  const sites = await OpenSites.open(options);
  try {
    await serveUntil(stopped, side, { options, sites: sites.settings }, log, (serving) => {
      const reload = new Reload({ options, sites }, log, (live, settings) => serving.configure(live, settings));
      if (hasFile || options.tlsCert !== undefined) hangupMeans(() => reload.ask());
      announceAlone(side, options, serving);
      warnOfRoot(log);
    });
  } finally {
    await sites.stop();
  }
}

async function serveSupervised(
  stopped: AbortSignal,
  side: SideName,
  options: Options,
  log: Log,
  supervisor: SupervisorLink,
): Promise<void> {
  // Nobody but the supervisor is to say when it ends.
  hangupMeans(() => {});
  const settings = await Promise.race([aborted(stopped), supervisor.settings()]);
  if (settings === undefined) return;
  const graceMs = () => (supervisor.gone.aborted ? ORPHAN_GRACE_MS : GRACE_MS);
  await serveUntil(
    stopped,
    side,
    // Arguments can be read by everybody: what may hold a password is told.
    { options: { ...options, shared: settings.options.shared }, sites: settings.sites },
    log,
    (serving) => {
      supervisor.obey(serving);
      const { httpPort, getfilePort, httpsPort } = serving;
      supervisor.send({
        type: "ready",
        ...(httpPort !== undefined && { httpPort }),
        ...(getfilePort !== undefined && { getfilePort }),
        ...(httpsPort !== undefined && { httpsPort }),
      });
    },
    graceMs,
  );
}

async function serveUntil(
  stopped: AbortSignal,
  side: SideName,
  { options, sites }: ChildSettings,
  log: Log,
  onReady: (serving: Serving) => void,
  graceMs = () => GRACE_MS,
): Promise<void> {
  if (stopped.aborted) return;
  const serving = await START[side](options, sites, log);
  let hasFailed = false;
  try {
    if (stopped.aborted) return;
    onReady(serving);
    const failure = await Promise.race([aborted(stopped), serving.failed]);
    if (failure === undefined) return;
    hasFailed = true;
    throw failure;
  } finally {
    await serving.close({ graceMs: Math.min(graceMs(), hasFailed ? FAILED_GRACE_MS : GRACE_MS) });
  }
}

/** What this command's options can do about it, where the error itself only knows the kernel's. */
function furtherAdvice(error: unknown): string {
  const isQueueLimit = error instanceof SystemCallError && error.syscall === "mq_open" && error.code === "EMFILE";
  return isQueueLimit ? "; or give fewer --threads, of which each takes a queue in each process" : "";
}

const START: Record<SideName, (options: Options, sites: readonly SiteSettings[], log: Log) => Promise<Serving>> = {
  proxy: async (options, sites, log) => {
    const { configureProxy, startProxySide } = await import("./start-proxy.ts");
    const proxy = await startProxySide(options, sites, log);
    return {
      httpPort: proxy.httpPort,
      getfilePort: proxy.getfilePort,
      httpsPort: proxy.httpsPort,
      failed: proxy.failed,
      configure: (live, newSites) => configureProxy(proxy, live, newSites),
      close: (how) => proxy.close(how),
    };
  },
  cache: async (options, sites, log) => {
    const cache = await (await import("./start-cache.ts")).startCacheSide(options, sites, log);
    return {
      failed: cache.failed,
      purge: (purge) => cache.purge(purge),
      explain: (question) => cache.explain(question),
      watchShared: (tell) => cache.watchShared(tell),
      configure: (_, newSites) => cache.useSites(newSites),
      close: () => cache.close(),
    };
  },
};

function announceAlone(side: SideName, options: Options, { httpPort, getfilePort, httpsPort }: Serving): void {
  const http = httpPort === undefined ? "" : ` http=${addressText(options.host, httpPort)}`;
  const getfile = getfilePort === undefined ? "" : ` getfile=${addressText(options.host, getfilePort)}`;
  const https = httpsPort === undefined ? "" : ` https=${addressText(options.host, httpsPort)}`;
  process.stdout.write(
    `webproxy ${side} ready channel=${options.channel}${http}${getfile}${https} pid=${process.pid}\n`,
  );
}

/** The channel to the supervisor, whose end is the supervisor's. */
class SupervisorLink {
  readonly #gone = new AbortController();

  constructor() {
    if (process.connected !== true) this.#gone.abort();
    process.on("disconnect", () => this.#gone.abort());
  }

  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** What it has read for us. It is asked for, since a message that comes before somebody listens is lost. */
  settings(): Promise<ChildSettings> {
    const wanted = Promise.withResolvers<ChildSettings>();
    const listen = (value: unknown) => {
      const message = readSupervisorMessage(value);
      if (message?.type !== "settings") return;
      process.off("message", listen);
      wanted.resolve(message.settings);
    };
    process.on("message", listen);
    this.send({ type: "settings-wanted" });
    return wanted.promise;
  }

  /** Does what the supervisor says, and tells it what came of it. */
  obey(serving: Serving): void {
    serving.watchShared?.((status) => this.send({ type: "shared", status }));
    process.on("message", (value: unknown) => {
      const message = readSupervisorMessage(value);
      if (message?.type === "purge") this.#purge(serving, message);
      if (message?.type === "explain") this.#explain(serving, message);
      if (message?.type === "settings") this.#configure(serving, message);
    });
  }

  #explain(serving: Serving, { id, question }: Extract<SupervisorMessage, { type: "explain" }>): void {
    serving.explain?.(question).then(
      (outcome) => this.send({ type: "explained", id, outcome }),
      (error: unknown) => this.send({ type: "explained", id, outcome: { message: messageOf(error) } }),
    );
  }

  #purge(serving: Serving, { id, purge }: Extract<SupervisorMessage, { type: "purge" }>): void {
    serving.purge?.(purge).then(
      (count) => this.send({ type: "purged", id, outcome: count }),
      (error: unknown) => this.send({ type: "purged", id, outcome: { message: messageOf(error) } }),
    );
  }

  #configure(serving: Serving, { id, settings }: Extract<SupervisorMessage, { type: "settings" }>): void {
    serving.configure(settings.options, settings.sites).then(
      () => this.send({ type: "settings-used", id }),
      (error: unknown) => this.send({ type: "settings-used", id, fault: messageOf(error) }),
    );
  }

  send(message: ChildMessage): void {
    if (process.connected === true) process.send?.(message);
  }
}
