import type { SharedAddress } from "./address.ts";

export type SharedCounter =
  | "sharedLookups"
  | "sharedLookupMicros"
  | "sharedFailures"
  | "sharedBroken"
  | "sharedWrites"
  | "sharedDropped"
  | "sharedReadBytes"
  | "sharedWrittenBytes";

export interface SharedTierOptions {
  readonly address: SharedAddress;
  /** Two deployments of different names never meet. */
  readonly deployment: string;
  /** What the engine may take to answer a look-up, in ms, before the origin is asked instead. */
  readonly budgetMs: number;
  readonly count: (counter: SharedCounter, amount?: number) => void;
  readonly log: (level: "info" | "warn", message: string) => void;
  readonly nowMs: () => number;
  readonly monotonicMs: () => number;
}
