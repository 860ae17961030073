// channel: what proxy and cache say to each other
export {
  type ControlBlock,
  controlBlockBytes,
  type ProcessState,
  readControlBlock,
  sleepingOffset,
  THREADS_MAX,
  takeRoomWanted,
  threadCounters,
  wantRoom,
  writeControlBlock,
  writePorts,
  writeProcessState,
} from "./channel/control-block.ts";
export {
  CACHE_COUNTERS,
  type CacheCounter,
  Counters,
  PROXY_COUNTERS,
  type ProxyCounter,
  readCounters,
} from "./channel/counters.ts";
export { LAYOUT_VERSION } from "./channel/layout-version.ts";
export { CHANNEL_NAME, channelNames, type Side } from "./channel/names.ts";
export {
  type ChannelRequest,
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
  FIRST_PAYLOAD_OFFSET,
  isAsked,
  NEXT_PAYLOAD_OFFSET,
  PAYLOAD_TAIL_BYTES,
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
export { shardOf } from "./channel/shard-of.ts";
export type { LogRecord } from "./log-record.ts";

// getfile/
export { GETFILE_HEADER_BYTES_MAX, GETFILE_HEADER_TIMEOUT_MS } from "./getfile/limits.ts";
export { type GetfileTarget, getfileTarget } from "./getfile/path.ts";
export { formatRequest, type GetfileRequest, type GetfileRequestFault, GetfileRequestParser } from "./getfile/request.ts";
export {
  formatResponseHead,
  type GetfileOutcome,
  type GetfileResponse,
  type GetfileResponseFault,
  GetfileResponseParser,
  type GetfileWire,
} from "./getfile/response.ts";
export { type GetfileStatus, getfileStatusOf } from "./getfile/status.ts";
