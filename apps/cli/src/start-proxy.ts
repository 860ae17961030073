import type { SiteSettings } from "@proj/protocol";
import {
  type ClientSockets,
  DEFAULT_CLIENT_LIMITS,
  type ProxySettings,
  type RunningProxy,
  startProxy,
  type TlsPair,
} from "@proj/proxy";
import { logsRequests } from "./access/log.ts";
import { readOriginCa, readTlsPairs } from "./certificates.ts";
import type { Log } from "./log.ts";
import type { Options } from "./options.ts";
import { requireSegmentSpace } from "./segment-space.ts";

/**
 * The proxy of this process, with the command line's options.
 *
 * @param sockets That listen already on its ports.
 * @throws {CommandError} Exit code 1: /dev/shm has no room for the segments; a certificate can not be read. And whatever `startProxy` refuses.
 */
export async function startProxySide(
  options: Options,
  sites: readonly SiteSettings[],
  log: Log,
  sockets?: ClientSockets,
): Promise<RunningProxy> {
  requireSegmentSpace(options);
  return start(options, sites, { pairs: readTlsPairs(options), sockets }, log);
}

/**
 * What of the options can be another while the proxy runs, and the certificates as they are in their files now.
 *
 * @throws {CommandError} Exit code 1: a certificate can not be read. {@link TlsPairError} One can not be used: then nothing changes.
 */
export async function configureProxy(
  proxy: RunningProxy,
  options: Options,
  sites: readonly SiteSettings[],
): Promise<void> {
  const pairs = proxy.httpsPort === undefined ? undefined : readTlsPairs(options);
  if (pairs !== undefined) await proxy.useCertificates(pairs);
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
      connections: options.maxConnections,
      head: headLimits(options.maxHead),
    },
  };
}

function start(
  options: Options,
  sites: readonly SiteSettings[],
  { pairs, sockets }: { pairs: readonly TlsPair[] | undefined; sockets: ClientSockets | undefined },
  log: Log,
): Promise<RunningProxy> {
  const { channel, threads, segments, host, httpPort, getfilePort, getfileWire, hot: hotBytes } = options;
  return startProxy({
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
    originCa: readOriginCa(options),
    ...(pairs !== undefined && { tls: { port: options.httpsPort, pairs } }),
    recordsAll: logsRequests(options),
    traceRatio: options.otlp === undefined ? undefined : options.traceRatio,
    takesOver: options.takeover,
    sockets,
    log,
  });
}

/** A target takes at most a quarter of a head, as by default. */
function headLimits(headBytes: number) {
  return { ...DEFAULT_CLIENT_LIMITS.head, headBytes, targetBytes: Math.floor(headBytes / 4) };
}
