import type { OriginSettings } from "@proj/origin";
import type { SiteSettings, WantedResponse } from "@proj/protocol";
import type { Explanation } from "./explain/explanation.ts";
import type { ShardPurge, ShardPurgeCount } from "./purge.ts";
import type { SharedNews } from "./shared/shared-side.ts";

/** What the main thread tells a thread of the cache. */
export interface ShardThreadOptions {
  readonly channel: string;
  readonly shard: number;
  /** The number of this life of the cache: it is in the names of the bodies it lends. */
  readonly life: number;
  /** How many shards there are. */
  readonly shards: number;
  readonly sites: readonly SiteSettings[];
  readonly originSettings: OriginSettings;
  /** The store's directory, which all shards share; undefined: memory only. */
  readonly directory: string | undefined;
  /** The shard's part of the limits, in bytes; 0 turns a tier off. */
  readonly memoryBytes: number;
  readonly diskBytes: number;
  /** Number of the last purge of a former life. */
  readonly purgesSeen: number;
  /** Purges of a former life that may not have reached all that is on disk. */
  readonly purgesPending: readonly ShardPurge[];
  /** What the nodes of a deployment share; undefined: nothing. */
  readonly shared: SharedOptions | undefined;
}

/** The shared tier of a deployment, as options name it. */
export interface SharedOptions {
  /** `redis://...`: see `parseSharedAddress` of @proj/shared-tier. */
  readonly address: string;
  /** Deployments of different names never meet. */
  readonly deployment: string;
  /** How long a look-up may take, in ms. */
  readonly budgetMs: number;
}

/** What it may be asked while it runs. */
export type ShardQuestion =
  | { readonly about: "purge"; readonly purge: ShardPurge }
  /** From now on these are the sites. */
  | { readonly about: "sites"; readonly sites: readonly SiteSettings[] }
  | { readonly about: "shared"; readonly news: SharedNews }
  | { readonly about: "explain"; readonly wanted: WantedResponse };

/** Of a purge, and of an explanation. */
export type ShardAnswer = ShardPurgeCount | Explanation | undefined;
