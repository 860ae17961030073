import { DEFAULT_CLIENT_LIMITS, type RunningProxy, startProxy } from "@proj/proxy";
import type { Log } from "./log.ts";
import type { Options } from "./options.ts";
import { requireSegmentSpace } from "./segment-space.ts";

/**
 * The proxy of this process, with the command line's options.
 *
 * @throws {CommandError} Exit code 1: /dev/shm has no room for the segments. And whatever `startProxy` refuses.
 */
export function startProxySide(options: Options, origin: URL, log: Log): Promise<RunningProxy> {
  requireSegmentSpace(options);
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
    trustProxy: options.trustProxy?.split(",") ?? [],
    limits: {
      headTimeoutMs: options.headTimeout * 1000,
      idleTimeoutMs: options.idleTimeout * 1000,
      contentRateMin: options.minBodyRate,
      connections: options.maxConnections,
      head: headLimits(options.maxHead),
    },
    log,
  });
}

/** A target takes at most a quarter of a head, as by default. */
function headLimits(headBytes: number) {
  return { ...DEFAULT_CLIENT_LIMITS.head, headBytes, targetBytes: Math.floor(headBytes / 4) };
}
