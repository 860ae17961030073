import { hostname } from "node:os";
import { type CacheOptions, loadShardThreads, type RunningCache, startCache } from "@proj/cache";
import { cacheDirectory } from "./cache-directory.ts";
import type { Log } from "./log.ts";
import { originSettings } from "./origin-settings.ts";
import type { SideSettings } from "./serve-side.ts";

/**
 * The cache of this process, with the command line's options.
 *
 * @param loaded Threads that have been loaded ahead.
 * @throws {CommandError} Exit code 1: its directory can not be used. And whatever `startCache` refuses.
 */
export async function startCacheSide(
  { options, sites, credentials }: SideSettings,
  log: Log,
  loaded = loadShardThreads(0),
): Promise<RunningCache> {
  const cacheDir = cacheDirectory(options, process.env, log);
  const { channel, threads, memory, disk } = options;
  const { shared: address, deployment, sharedBudget: budgetMs, node = `${hostname()}/${channel}` } = options;
  const cache: CacheOptions = {
    ...{ channel, threads, sites, cacheDir, log },
    originSettings: originSettings(options, credentials),
    memoryBytes: memory,
    diskBytes: disk,
    shared: address === undefined ? undefined : { address, deployment, budgetMs, node },
  };
  return startCache(cache, loaded);
}
