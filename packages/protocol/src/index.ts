// caching/
export { isForOthers, isOfOneClient } from "./caching/asked-for-others.ts";
export { type ByteRange, mergeRanges, missingRanges } from "./caching/byte-range.ts";
export { type CacheControl, NO_DIRECTIVES, parseCacheControl } from "./caching/cache-control.ts";
export { type CacheTarget, cacheTarget } from "./caching/cache-key.ts";
export { type CacheStatus, type ForwardReason, renderCacheStatus } from "./caching/cache-status.ts";
export { cacheGroups, cacheTags, invalidatedGroups } from "./caching/cache-tags.ts";
export {
  type ContentRange,
  parseContentRange,
  renderContentRange,
  renderUnsatisfiedRange,
} from "./caching/content-range.ts";
export {
  type EntityTag,
  parseEntityTag,
  parseEntityTags,
  strongMatch,
  weakMatch,
} from "./caching/entity-tag.ts";
export {
  ageFieldValue,
  currentAgeMs,
  type Freshness,
  type FreshnessRule,
  freshnessLifetimeMs,
  freshnessOf,
  initialAgeMs,
  isFresh,
  isHeuristicallyCacheable,
  type LifetimeBasis,
  madeStale,
  mostRecent,
  takesTtl,
  ttlMs,
} from "./caching/freshness.ts";
export { formatHttpDate, parseHttpDate } from "./caching/http-date.ts";
export { invalidatedTargets, isSafeMethod } from "./caching/invalidation.ts";
export type { RequestMessage, ResponseMessage } from "./caching/messages.ts";
export { frameMultipartByteranges, type MultipartByteranges } from "./caching/multipart-byteranges.ts";
export { acceptsCoding } from "./caching/negotiation.ts";
export { evaluatePreconditions, notModifiedFields, type PreconditionOutcome } from "./caching/preconditions.ts";
export {
  completionFields,
  evaluateRange,
  parseRange,
  type RangeOutcome,
  type RangeSpec,
  resolveRanges,
} from "./caching/range.ts";
export {
  forbidsStale,
  type OriginFailure,
  type Reuse,
  type ReuseOnError,
  reuse,
  reuseOnError,
  type ValidationReason,
} from "./caching/reuse.ts";
export {
  fieldsToStore,
  isSameUri,
  type NotStorableReason,
  type Storable,
  type StorableRequest,
  storable,
} from "./caching/storable.ts";
export {
  type EffectiveCacheControl,
  effectiveCacheControl,
  SURROGATE_CAPABILITY,
} from "./caching/targeted-cache-control.ts";
export {
  conditionalFields,
  headEffect,
  sameStrongValidator,
  selectFreshened,
  updateStored,
  withDate,
} from "./caching/validation.ts";
export {
  ANY_REQUEST,
  matchesExactly,
  matchingVariants,
  type Variant,
  variantOf,
  varyKey,
  varyNames,
} from "./caching/vary.ts";
// channel: what proxy and cache say to each other
export {
  ACCESS_VERDICTS,
  type AccessRecord,
  type AccessTextFields,
  AccessTexts,
  type AccessVerdict,
} from "./channel/access-record.ts";
export {
  AccessReader,
  type AccessRingsCopy,
  AccessRingWriter,
  accessRingsBytes,
  initAccessRings,
  wantAllRecords,
} from "./channel/access-ring.ts";
export {
  beatWord,
  type ControlBlock,
  clearControlBlock,
  controlBlockBytes,
  lifeIn,
  type ProcessState,
  readControlBlock,
  sleepingOffset,
  stripeArrivals,
  stripeVersions,
  THREADS_MAX,
  takeRoomWanted,
  threadCounters,
  threadHistogram,
  threadIdWord,
  wantRoom,
  writeControlBlock,
  writePorts,
  writeProcessState,
} from "./channel/control-block.ts";
export {
  CACHE_COUNTERS,
  CACHE_HISTOGRAMS,
  type CacheCounter,
  type CacheHistogram,
  Counters,
  PROXY_COUNTERS,
  PROXY_HISTOGRAMS,
  type ProxyCounter,
  type ProxyHistogram,
  readCounters,
} from "./channel/counters.ts";
export { beat, HEARTBEAT_MS, LOOKS_PER_BEAT, SilenceWatch } from "./channel/heartbeat.ts";
export { Histogram, HistogramReading } from "./channel/histogram.ts";
export {
  type Invalidation,
  invalidationBlockBytes,
  readInvalidationBlock,
  writeInvalidationBlock,
} from "./channel/invalidation-block.ts";
export { LAYOUT_VERSION } from "./channel/layout-version.ts";
export { CHANNEL_NAME, channelNames, type Side } from "./channel/names.ts";
export {
  NOTICE_MESSAGE_BYTES_MAX,
  NOTICES_PER_MESSAGE,
  readNotices,
  writeNotices,
} from "./channel/notice.ts";
export {
  ORIGINS_MAX,
  type OriginCounts,
  type OriginSeen,
  readOriginsSeen,
  writeOriginCounts,
  writeOriginNames,
} from "./channel/origin-states.ts";
export {
  type PassedResponse,
  passedResponseBlockBytes,
  readPassedResponseBlock,
  writePassedResponseBlock,
} from "./channel/passed-response-block.ts";
export {
  type ChannelRequest,
  isOfOtherVersion,
  type Operation,
  REQUEST_BYTES,
  REQUEST_MESSAGE_BYTES_MAX,
  REQUESTS_PER_MESSAGE,
  readRequest,
  requestsIn,
  writeRequest,
} from "./channel/request.ts";
export {
  readRequestBlock,
  requestBlockBytes,
  type WantedResponse,
  type Wire,
  writeRequestBlock,
} from "./channel/request-block.ts";
export {
  type Answer,
  cacheStatusOf,
  FIRST_PAYLOAD_OFFSET,
  isAsked,
  NEXT_PAYLOAD_OFFSET,
  PAYLOAD_TAIL_BYTES,
  type PassLeave,
  type PortionAnswer,
  portionCapacity,
  type Refusal,
  type ResponseAnswer,
  readAnswer,
  readResponse,
  SEGMENT_BODY_OFFSET,
  SEGMENT_BYTES_MIN,
  type SegmentWords,
  type Verdict,
  writeAsked,
  writePortion,
  writeRefusal,
} from "./channel/segment-header.ts";
export { shardOf, targetHash } from "./channel/shard-of.ts";
export { bumpStripe, STRIPES, stripeOf, stripeVersion } from "./channel/stripes.ts";
// getfile/
export { GETFILE_HEADER_BYTES_MAX, GETFILE_HEADER_TIMEOUT_MS } from "./getfile/limits.ts";
export { type GetfileTarget, getfileTarget } from "./getfile/path.ts";
export {
  formatRequest,
  type GetfileRequest,
  type GetfileRequestFault,
  GetfileRequestParser,
} from "./getfile/request.ts";
export {
  formatResponseHead,
  type GetfileOutcome,
  type GetfileResponse,
  type GetfileResponseFault,
  GetfileResponseParser,
  type GetfileWire,
} from "./getfile/response.ts";
export { type GetfileStatus, getfileStatusOf } from "./getfile/status.ts";
// http1/
export { BodyDecoder } from "./http1/body.ts";
export { endToEndFields } from "./http1/end-to-end.ts";
export { gatewayName } from "./http1/field-names.ts";
export { Fields } from "./http1/fields.ts";
export { type Framing, keepsAlive, parseContentLength, requestFraming, responseFraming } from "./http1/framing.ts";
export { parseRequestHead, parseResponseHead, type RequestHead, type ResponseHead } from "./http1/head.ts";
export { HeadScanner } from "./http1/head-scanner.ts";
export { type BodyLimits, DEFAULT_BODY_LIMITS, DEFAULT_HEAD_LIMITS, type HeadLimits } from "./http1/limits.ts";
export { listElements, trimOws } from "./http1/list.ts";
export { type Malformed, malformed } from "./http1/malformed.ts";
export { latin1, writeLatin1 } from "./http1/octets.ts";
export { ofSameFields } from "./http1/of-same-fields.ts";
export { isMethodOverride, isSaidByProxies } from "./http1/said-by-proxies.ts";
export { reasonPhrase } from "./http1/status.ts";
export { checkHost, parseTarget, type Target } from "./http1/target.ts";
export { ownVia, receivedFields, renderVia } from "./http1/via.ts";
export {
  LAST_CHUNK,
  renderChunkHead,
  renderLastChunk,
  renderRequestHead,
  renderResponseHead,
} from "./http1/write.ts";
export type { LogRecord } from "./log-record.ts";
// sites/: what an operator has decided about hosts and paths
export { type CountedQuery, countedQuery } from "./sites/counted-query.ts";
export { type PatternMatch, patternMatch } from "./sites/pattern.ts";
export { decodeUnreserved, plainPath } from "./sites/plain-path.ts";
export { type QuerySettings, Rule, type RuleSettings } from "./sites/rule.ts";
export { isBelow, type Ruling, Site } from "./sites/site.ts";
export { defaultSite, originNames, type SiteSettings, siteId } from "./sites/site-settings.ts";
export { SiteTable } from "./sites/site-table.ts";
