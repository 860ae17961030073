/**
 * What a process has to know of a channel before it handles any request, and who watches it: the part of `index.ts` without HTTP, GETFILE and caching. Who starts, stops and supervises
 * loads this alone, in a fifth of the time.
 */
export { accessRingsBytes, initAccessRings, wantAllRecords } from "./channel/access-ring.ts";
export {
  type ControlBlock,
  clearControlBlock,
  controlBlockBytes,
  readControlBlock,
  THREADS_MAX,
  threadCounters,
  threadHistogram,
  threadIdWord,
  watchedParts,
  writeControlBlock,
  writePorts,
  writeProcessState,
} from "./channel/control-block.ts";
export {
  CACHE_COUNTERS,
  CACHE_HISTOGRAMS,
  type CacheCounter,
  type CacheHistogram,
  PROXY_COUNTERS,
  PROXY_HISTOGRAMS,
  type ProxyCounter,
  type ProxyHistogram,
  readCounters,
} from "./channel/counters.ts";
export { beat, HEARTBEAT_MS, LOOKS_PER_BEAT, SilenceWatch } from "./channel/heartbeat.ts";
export { HistogramReading } from "./channel/histogram.ts";
export { channelNames, type Side } from "./channel/names.ts";
export { type OriginSeen, readOriginsSeen, writeOriginNames } from "./channel/origin-states.ts";
export { REQUEST_MESSAGE_BYTES_MAX } from "./channel/request.ts";
export { shardOf, targetHash } from "./channel/shard-of.ts";
export { DEFAULT_HEAD_LIMITS, type HeadLimits } from "./http1/limits.ts";
export type { LogRecord } from "./log-record.ts";
export { patternMatch } from "./sites/pattern.ts";
export type { RuleSettings } from "./sites/rule.ts";
export { isBelow, Site } from "./sites/site.ts";
export { defaultSite, originNames, type SiteSettings, siteId } from "./sites/site-settings.ts";
export { SiteTable } from "./sites/site-table.ts";
