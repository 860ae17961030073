import type { KeySelector } from "./key-selector.ts";

/** Which stored responses a purge concerns, as clients ask for them. `host`: only of the site that this host belongs to. */
export type PurgeSelector =
  | { readonly by: "url"; readonly host?: string; readonly target: string }
  | { readonly by: "prefix"; readonly host?: string; readonly prefix: string }
  /** `*` stands for any run of characters, also none; everything else for itself. Matched against the whole target. */
  | { readonly by: "pattern"; readonly host?: string; readonly pattern: string }
  /** Surrogate-Key, Cache-Tag, or group (RFC 9875). */
  | { readonly by: "tag"; readonly tag: string }
  | { readonly by: "all" };

/** An operator's invalidation. */
export interface Purge {
  readonly selector: PurgeSelector;
  /** What is stored stays, stale: it is validated at its next use, or sent when the origin is gone. */
  readonly soft: boolean;
  /** Only says how many there are. */
  readonly dryRun: boolean;
}

/** An invalidation as all shards are told of it: what any of the selectors concerns. */
export interface ShardPurge extends Omit<Purge, "selector"> {
  readonly selectors: readonly KeySelector[];
  /** Above that of any purge before, in this life and in former ones. */
  readonly number: number;
  /** Its number in the log of the deployment: what was filled after it stays. Left out: it concerns all. */
  readonly filledBefore?: number;
}

/** What a purge found. */
export interface PurgeCount {
  responses: number;
  bodyBytes: number;
}

/** What a purge found here, and which nodes of the deployment have applied it, where there is one. */
export interface NodesPurgeCount extends PurgeCount {
  nodes?: NodesPurged;
}

/** Names of nodes. */
export interface NodesPurged {
  readonly applied: readonly string[];
  readonly missing: readonly string[];
}

/** What it found in one shard. */
export interface ShardPurgeCount extends PurgeCount {
  /** Files that the file system would not remove: for another life the purge is not over. */
  filesLeft: number;
}
