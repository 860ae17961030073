import { objectName, SegmentPool } from "@proj/ipc";
import { channelNames, type SiteSettings } from "@proj/protocol";
import {
  DEFAULT_CLIENT_LIMITS,
  loadProxyThreads,
  type ProxyOptions,
  type ProxySettings,
  type RunningProxy,
  startProxy,
} from "@proj/proxy";
import { logsRequests } from "./access/output.ts";
import { connectionRoom } from "./connection-room.ts";
import type { Log } from "./log.ts";
import type { Options } from "./options.ts";
import { originSettings } from "./origin-settings.ts";
import { requireSegmentSpace } from "./segment-space.ts";
import type { SideSettings } from "./serve-side.ts";

/**
 * The proxy of this process, with the command line's options.
 *
 * @param loaded Threads that have been loaded ahead.
 * @throws {CommandError} Exit code 1: /dev/shm has no room for the segments. And whatever `startProxy` refuses.
 */
export async function startProxySide(
  settings: SideSettings,
  log: Log,
  loaded = loadProxyThreads(0),
): Promise<RunningProxy> {
  if (!hasFormerPool(settings.options)) requireSegmentSpace(settings.options);
  sayWhereFilesAreFew(settings.options, log);
  return startProxy(proxyOptions(settings, log), loaded);
}

/** What a proxy before this one has left is free when this one has made room, or is taken over: it needs no other memory beside it. */
function hasFormerPool({ channel }: Options): boolean {
  return SegmentPool.picture(objectName(channelNames(channel).pool)) !== undefined;
}

/** Fewer client connections of a thread than this are not what an operator expects. */
const CONNECTIONS_FEW = 1_000;

function sayWhereFilesAreFew(options: Options, log: Log): void {
  const room = connectionRoom(options);
  if (room >= Math.min(CONNECTIONS_FEW, options.maxConnections)) return;
  const message = `RLIMIT_NOFILE has room for ${room} client connections in each thread, not for the ${options.maxConnections} of --max-connections: who comes beyond is refused; raise it (ulimit -n, LimitNOFILE= in systemd)`;
  log({ level: "warn", message });
}

/**
 * What of the settings can be another while the proxy runs.
 *
 * @throws {TlsPairError} A certificate can not be used: then nothing changes.
 */
export async function configureProxy(
  proxy: RunningProxy,
  { options, sites, credentials: { tlsPairs } }: SideSettings,
): Promise<void> {
  if (proxy.httpsPort !== undefined && tlsPairs !== undefined) await proxy.useCertificates(tlsPairs);
  await proxy.use(liveSettings(options, sites));
}

function liveSettings(options: Options, sites: readonly SiteSettings[]): ProxySettings {
  return {
    sites,
    trustProxy: options.trustProxy?.split(",") ?? [],
    limits: {
      headTimeoutMs: options.headTimeout * 1000,
      idleTimeoutMs: options.idleTimeout * 1000,
      contentRateMin: options.minBodyRate,
      connections: connectionRoom(options),
      head: headLimits(options),
    },
  };
}

function proxyOptions({ options, sites, credentials, sockets }: SideSettings, log: Log): ProxyOptions {
  const { tlsPairs: pairs } = credentials;
  const { channel, threads, segments, host, httpPort, getfilePort, getfileWire, hot: hotBytes } = options;
  return {
    channel,
    threads,
    segments,
    segmentBytes: options.segmentSize,
    host,
    httpPort,
    getfilePort,
    getfileWire,
    hotBytes,
    ...liveSettings(options, sites),
    originSettings: originSettings(options, credentials),
    ...(pairs !== undefined && { tls: { port: options.httpsPort, pairs } }),
    recordsAll: logsRequests(options),
    traceRatio: options.otlp === undefined ? undefined : options.traceRatio,
    takesOver: options.takeover,
    sockets,
    log,
  };
}

/** Where nothing is said of it a target takes at most a quarter of a head, as by default. */
function headLimits({ maxHead, maxFields, maxTarget }: Options) {
  const targetBytes = maxTarget ?? Math.floor(maxHead / 4);
  return { ...DEFAULT_CLIENT_LIMITS.head, headBytes: maxHead, fields: maxFields, targetBytes };
}
