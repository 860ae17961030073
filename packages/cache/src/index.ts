export { CacheDirError, type CacheOptions, type RunningCache, startCache } from "./cache.ts";
