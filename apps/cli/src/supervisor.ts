import { ClientPorts, type ClientSockets } from "@proj/proxy";
import { addressText } from "./address-text.ts";
import { type AdminServer, startAdmin } from "./admin/server.ts";
import { readCredentials } from "./certificates.ts";
import { type ChildSettings, roleArguments, type SupervisedRole } from "./child-message.ts";
import type { ChildProcess } from "./child-process.ts";
import { type CommandError, cannotRun, messageOf } from "./command-error.ts";
import { connectionRoom } from "./connection-room.ts";
import { removeLeftOvers } from "./left-overs.ts";
import type { Log } from "./log.ts";
import { Logs } from "./logs.ts";
import { OpenSites } from "./open-sites.ts";
import { asArguments, type Options } from "./options.ts";
import { refuseOwnAddress } from "./own-address.ts";
import { isReloadable, Reload } from "./reload.ts";
import { aborted, hangupMeans, reopenMeans, type StopRequest } from "./stop-request.ts";
import { SupervisedProcess } from "./supervised-process.ts";
import { uncaughtError } from "./uncaught.ts";
import { becomeUser, warnOfRoot } from "./user.ts";
import { printLine } from "./write-at-once.ts";

/** Open requests may take this long once a stop is asked for; then what still runs is killed. */
const STOP_MS = 10_000;
/** Of that, what the cache has for itself after the proxy: it has no requests left by then. */
const CACHE_STOP_MS = 1_500;

/**
 * Runs cache and proxy as child processes until a stop is asked for: restarts what dies, answers the admin API, serves the origin
 * when it is a directory, and leaves nothing in /dev/shm. Prints the ready line once both serve.
 *
 * @param start.hasFile The options are from a config file, too: SIGHUP reads it again, and does not mean to stop.
 * @param start.cache A spare process for the cache, where one has been started ahead.
 * @returns The exit code, 0.
 * @throws {CommandError} Exit code 1: it could not run, or not go on.
 */
export async function runSupervisor(options: Options, stop: StopRequest, start: StartedWith): Promise<number> {
  if (!isReloadable(options, start.hasFile)) hangupMeans("stop");
  connectionRoom(options); // without room it is refused before anything is opened
  if (options.user !== undefined) start.cache?.kill("SIGKILL"); // it is another user's
  becomeUser(options.user);
  try {
    return await superviseUntil(stop, options, options.user === undefined ? start : { ...start, cache: undefined });
  } finally {
    removeLeftOvers(options.channel); // of what was killed: not before those here who watched it have let go
  }
}

/** See {@link runSupervisor}. */
interface StartedWith {
  readonly hasFile: boolean;
  readonly cache: ChildProcess | undefined;
}

async function superviseUntil(stop: StopRequest, options: Options, { hasFile, cache }: StartedWith): Promise<number> {
  await using logs = new Logs(options, "webproxy");
  await logs.logRequests();
  refuseOwnAddress(options);
  const credentials = await readCredentials(options);
  const sites = await OpenSites.open(options);
  try {
    using ports = await openPorts(options);
    const pair = new ProcessPair({ options, sites: sites.settings, credentials }, { ports, cache }, logs.log);
    const reload = new Reload({ options, sites }, logs.log, (settings) => pair.use(settings));
    const admin = startAdmin({
      host: options.adminHost,
      port: options.adminPort,
      channel: options.channel,
      processes: pair,
      purge: (purge) => pair.cache.purge(purge),
      sharedStatus: () => pair.cache.sharedStatus,
      explaining: { explain: (question) => pair.cache.explain(question), httpAddress: () => pair.addresses.http },
      limits: { hot: options.hot, memory: options.memory, disk: options.cacheDir === "none" ? 0 : options.disk },
    });
    try {
      await run(pair, {
        options,
        sites,
        admin,
        stop,
        log: logs.log,
        onHangup: isReloadable(options, hasFile) ? () => reload.ask() : undefined,
      });
    } finally {
      await admin.stop();
    }
  } finally {
    await sites.stop();
  }
  return 0;
}

interface Surroundings {
  options: Options;
  sites: OpenSites;
  admin: AdminServer;
  stop: StopRequest;
  log: Log;
  onHangup: (() => void) | undefined;
}

async function run(pair: ProcessPair, { options, sites, admin, stop, log, onHangup }: Surroundings): Promise<void> {
  removeLeftOvers(options.channel);
  const failed = Promise.race([pair.gaveUp, uncaughtError()]);
  try {
    if (!stop.asked.aborted) pair.start();
    const failure = await Promise.race([aborted(stop.asked), failed, pair.bothReady]);
    if (failure !== undefined) throw failure;
    if (!stop.asked.aborted) {
      if (onHangup !== undefined) hangupMeans(onHangup);
      reopenMeans(() => pair.signal("SIGUSR1"));
      printLine(pair.readyLine(admin));
      admin.watch();
      warnOfRoot(log);
      sites.announce?.(pair.addresses, printLine);
      const later = await Promise.race([aborted(stop.asked), failed]);
      if (later !== undefined) throw later;
    }
  } finally {
    await pair.stop(stop.insisted);
  }
}

/** They are the supervisor's, so that clients who come while there is no proxy wait for the next one. */
async function openPorts(options: Options): Promise<ClientPorts> {
  const { host, httpPort, getfilePort, threads, takeover: takesOver } = options;
  const httpsPort = options.tlsCert === undefined ? undefined : options.httpsPort;
  try {
    return await ClientPorts.open({ host, httpPort, getfilePort, httpsPort, threads, takesOver });
  } catch (error) {
    throw cannotRun(messageOf(error), error);
  }
}

/** Where a child finds the descriptors that it inherits: behind standard input, output and error. */
const FIRST_INHERITED = 3;

/** The sockets as the child knows them that inherits their descriptors one after the other. */
function inheritedAs({ http, getfile, https }: ClientSockets): { sockets: ClientSockets; fds: readonly number[] } {
  const fds: number[] = [];
  const inherit = ({ port, fds: own }: ClientSockets["http"]) => {
    const first = FIRST_INHERITED + fds.length;
    fds.push(...own);
    return { port, fds: own.map((_, index) => first + index) };
  };
  return { sockets: { http: inherit(http), getfile: inherit(getfile), https: https && inherit(https) }, fds };
}

/** While there is no proxy nobody is served, so that a second death in the time that a spare one takes to load is to find another one. Without the cache the origin serves. */
const SPARES = { proxy: 2, cache: 1 } as const;

/** The two children, started together, ended one after the other: the proxy needs the cache for what it still has to send. */
export class ProcessPair {
  readonly cache: SupervisedProcess;
  readonly proxy: SupervisedProcess;
  /** Settles when one of them can not be kept running. */
  readonly gaveUp: Promise<CommandError>;
  /** Settles when both have served for the first time. */
  readonly bothReady: Promise<void>;
  readonly #ports: ClientPorts;
  #settings: ChildSettings;

  /** @param there What is there already: the ports, and perhaps a spare process for the cache. */
  constructor(
    { options, sites, credentials }: Omit<ChildSettings, "sockets">,
    { ports, cache }: { ports: ClientPorts; cache?: ChildProcess | undefined },
    log: Log,
  ) {
    const { sockets, fds } = inheritedAs(ports.sockets);
    this.#ports = ports;
    this.#settings = { options: withPorts(options, sockets), sites, credentials, sockets };
    const gaveUp = Promise.withResolvers<CommandError>();
    const bothReady = Promise.withResolvers<void>();
    this.gaveUp = gaveUp.promise;
    this.bothReady = bothReady.promise;
    const settle = () => {
      // Whether one stands still just then is nothing to wait for: nobody would look again when it goes on.
      if (this.cache.hasServed && this.proxy.hasServed) bothReady.resolve();
    };
    const commandOf = (role: SupervisedRole) => [
      ...[process.execPath, Bun.main],
      ...roleArguments(role),
      ...asArguments(this.#options),
    ];
    const supervised = (
      name: "cache" | "proxy",
      given: { inherited?: readonly number[]; firstSpare?: ChildProcess | undefined },
      onReady: () => void,
    ) =>
      new SupervisedProcess({
        name,
        ...given,
        watched: { channel: options.channel, side: name },
        command: () => commandOf({ side: name, isSpare: false }),
        spares: { count: SPARES[name], command: () => commandOf({ side: name, isSpare: true }) },
        settings: () => this.#settings,
        log,
        onReady: () => {
          onReady();
          settle();
        },
        onGiveUp: gaveUp.resolve,
      });
    this.cache = supervised("cache", { firstSpare: cache }, () => {
      if (!this.proxy.hasStarted) this.proxy.start();
    });
    this.proxy = supervised("proxy", { inherited: fds }, () => void ports.takeOver(log));
  }

  get #options(): Options {
    return this.#settings.options;
  }

  get addresses(): { http: string; getfile: string } {
    const { host, httpPort, getfilePort } = this.#options;
    return { http: addressText(host, httpPort), getfile: addressText(host, getfilePort) };
  }

  readyLine(admin: { host: string; port: number }): string {
    const { http, getfile } = this.addresses;
    const { host, httpsPort, tlsCert } = this.#options;
    const https = tlsCert === undefined ? "" : ` https=${addressText(host, httpsPort)}`;
    return `webproxy ready http=${http} getfile=${getfile} admin=${addressText(admin.host, admin.port)}${https} pid=${process.pid}`;
  }

  /** From now on these hold: the cache goes first, which still knows the former sites for a while. */
  async use({ options, sites, credentials }: Omit<ChildSettings, "sockets">): Promise<void> {
    const { sockets } = this.#settings;
    this.#settings = { options: withPorts(options, sockets), sites, credentials, sockets };
    await this.cache.configure();
    await this.proxy.configure();
  }

  /** Where a proxy's first request comes at once, it waits until there is a cache. */
  start(): void {
    this.cache.start();
    if (!this.#options.takeover) this.proxy.start();
  }

  signal(signal: NodeJS.Signals): void {
    this.cache.signal(signal);
    this.proxy.signal(signal);
  }

  async stop(hurry: AbortSignal): Promise<void> {
    // From now on clients are refused, as soon as the proxy accepts nobody any more; one that is stopped or hangs would never stop having them queued for it.
    if (this.proxy.isReady && !this.proxy.isStopped) this.#ports.close();
    else this.#ports.end();
    const endBy = performance.now() + STOP_MS;
    await this.proxy.stop(STOP_MS - CACHE_STOP_MS, hurry);
    await this.cache.stop(Math.max(CACHE_STOP_MS, endBy - performance.now()), hurry);
  }
}

/** As they are where the kernel has chosen. */
function withPorts(options: Options, { http, getfile, https }: ClientSockets): Options {
  return {
    ...options,
    httpPort: http.port,
    getfilePort: getfile.port,
    httpsPort: https?.port ?? options.httpsPort,
  };
}
