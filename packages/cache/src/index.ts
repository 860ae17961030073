export {
  type CacheOptions,
  type LoadedShardThreads,
  loadShardThreads,
  type RunningCache,
  startCache,
} from "./cache.ts";
export { S3Fifo } from "./eviction/s3-fifo.ts";
export type {
  Because,
  ExplainedFate,
  ExplainedOutcome,
  ExplainedResponse,
  ExplainQuestion,
  Explanation,
} from "./explain/explanation.ts";
export type { NodesPurgeCount, NodesPurged, Purge, PurgeCount, PurgeSelector } from "./purge.ts";
export type { SharedStatus } from "./shared/shared-node.ts";
export { StoreDirectoryError } from "./storage/store-directory.ts";
