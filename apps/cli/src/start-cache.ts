import { hostname } from "node:os";
import { type RunningCache, startCache } from "@proj/cache";
import type { SiteSettings } from "@proj/protocol";
import { cacheDirectory } from "./cache-directory.ts";
import { readOriginCa } from "./certificates.ts";
import type { Log } from "./log.ts";
import type { Options } from "./options.ts";

/**
 * The cache of this process, with the command line's options.
 *
 * @throws {CommandError} Exit code 1: its directory can not be used; the origin's certificates can not be read. And whatever `startCache` refuses.
 */
export async function startCacheSide(
  options: Options,
  sites: readonly SiteSettings[],
  log: Log,
): Promise<RunningCache> {
  const cacheDir = cacheDirectory(options, process.env, log);
  const { channel, threads, memory, disk } = options;
  const { shared: address, deployment, sharedBudget: budgetMs, node = `${hostname()}/${channel}` } = options;
  const originCa = readOriginCa(options);
  return startCache({
    ...{ channel, threads, sites, originCa, cacheDir, log },
    memoryBytes: memory,
    diskBytes: disk,
    shared: address === undefined ? undefined : { address, deployment, budgetMs, node },
  });
}
