import { DEFAULT_CLIENT_LIMITS, type RunningProxy, startProxy, type TlsPair } from "@proj/proxy";
import { logsRequests } from "./access/log.ts";
import { readOriginCa, readTlsPairs } from "./certificates.ts";
import { messageOf } from "./command-error.ts";
import type { Log } from "./log.ts";
import type { OpenOrigin } from "./open-origin.ts";
import type { Options } from "./options.ts";
import { requireSegmentSpace } from "./segment-space.ts";
import { hangupMeans } from "./stop-request.ts";

/**
 * The proxy of this process, with the command line's options.
 *
 * With TLS it reads the certificates again on SIGHUP; what can not be used is logged, and those in use stay.
 *
 * @throws {CommandError} Exit code 1: /dev/shm has no room for the segments; a certificate can not be read. And whatever `startProxy` refuses.
 */
export async function startProxySide(options: Options, origin: OpenOrigin, log: Log): Promise<RunningProxy> {
  requireSegmentSpace(options);
  const pairs = readTlsPairs(options);
  const proxy = await start(options, origin, pairs, log);
  if (pairs !== undefined) hangupMeans(() => void readAndUse(proxy, options, log));
  return proxy;
}

async function readAndUse(proxy: RunningProxy, options: Options, log: Log): Promise<void> {
  try {
    const pairs = readTlsPairs(options);
    if (pairs === undefined) return;
    await proxy.useCertificates(pairs);
    log({ level: "info", message: "The certificates were read again" });
  } catch (error) {
    log({ level: "error", message: `${messageOf(error)}. Those in use stay` });
  }
}

function start(
  options: Options,
  { urls: [origin, ...replicas] }: OpenOrigin,
  pairs: readonly TlsPair[] | undefined,
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
    origin,
    replicas,
    originCa: readOriginCa(options),
    ...(pairs !== undefined && { tls: { port: options.httpsPort, pairs } }),
    trustProxy: options.trustProxy?.split(",") ?? [],
    limits: {
      headTimeoutMs: options.headTimeout * 1000,
      idleTimeoutMs: options.idleTimeout * 1000,
      contentRateMin: options.minBodyRate,
      connections: options.maxConnections,
      head: headLimits(options.maxHead),
    },
    recordsAll: logsRequests(options),
    log,
  });
}

/** A target takes at most a quarter of a head, as by default. */
function headLimits(headBytes: number) {
  return { ...DEFAULT_CLIENT_LIMITS.head, headBytes, targetBytes: Math.floor(headBytes / 4) };
}
