/** What is done to a store without a cache that runs. */
export { type ArchiveCount, ArchiveError, exportStore, importStore, type OnProgress } from "./storage/store-archive.ts";
export { inspectStore, type StoreEntry } from "./storage/store-reader.ts";
