export { describeAddress, parseSharedAddress, type SharedAddress } from "./address.ts";
export { CHUNK_BYTES, type Entry, isChunk } from "./entry.ts";
export { SharedKeys } from "./keys.ts";
export type { Lease } from "./lease.ts";
export { LogPositionFile } from "./log-position.ts";
export type { LoggedSelector } from "./purge-index.ts";
export {
  type LoggedPurge,
  type LogState,
  type NodePosition,
  PurgeLog,
  type PurgeLogHost,
  type PurgeOutcome,
} from "./purge-log.ts";
export {
  type LeaseOutcome,
  type LookUp,
  type SharedCounter,
  SharedTier,
  type SharedTierOptions,
  type SharedWrite,
} from "./shared-tier.ts";
