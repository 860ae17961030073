import type { CacheCounter, Counters, LogRecord } from "@proj/protocol";
import { parseSharedAddress, SharedTier } from "@proj/shared-tier";
import type { SharedOptions } from "../shard-thread-options.ts";
import type { TieredStorage } from "../storage/tiered-storage.ts";
import { SharedSide } from "./shared-side.ts";

/** The shared tier for one shard. Loaded only where there is one: the engine's client takes a while to load. */
export function openShared(options: {
  shared: SharedOptions;
  shard: number;
  storage: TieredStorage;
  counters: Counters<CacheCounter>;
  log: (record: LogRecord) => void;
  nowMs: () => number;
  monotonicMs: () => number;
}): SharedSide {
  const { shared, shard, storage, counters, log, nowMs, monotonicMs } = options;
  const address = parseSharedAddress(shared.address);
  if (address === undefined)
    throw new Error("Cannot use the address of the shared tier: its ports are from 1 to 65535");
  const tier = new SharedTier({
    ...{ address, deployment: shared.deployment, budgetMs: shared.budgetMs, nowMs, monotonicMs },
    count: (counter, amount) => counters.add(counter, amount),
    log: (level, message) => log({ level, message }),
  });
  return new SharedSide({ tier, isSpeaker: shard === 0, storage, counters, nowMs, monotonicMs });
}
