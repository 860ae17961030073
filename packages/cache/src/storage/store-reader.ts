import { join } from "node:path";
import { currentAgeMs, targetHash, ttlMs } from "@proj/protocol";
import { type EntryFile, readEntryFile } from "./entry-file.ts";
import { type EntryName, PARTITIONS, parseEntryName, partitionDirectory, partitionOf } from "./entry-name.ts";
import { FILE_SYSTEM, type FileSystem } from "./file-system.ts";
import { targetOf } from "./key-target.ts";
import { expectReadable } from "./store-directory.ts";

/** A stored response as an operator sees it. */
export interface StoreEntry {
  /** Scheme, host, port and target of what it answers. */
  readonly url: string;
  readonly status: number;
  readonly bodyBytes: number;
  /** Length of its file. */
  readonly fileBytes: number;
  readonly ageSeconds: number;
  /** How much longer it is fresh; negative: for how long it has been stale. */
  readonly ttlSeconds: number;
  /** The request fields that it depends on, and what the request said in them; both empty where it depends on none. */
  readonly varyNames: readonly string[];
  readonly varyKey: string;
  readonly tags: readonly string[];
}

/** One file of a store, open while it is looked at. */
export interface OpenEntry {
  readonly name: EntryName;
  readonly fileName: string;
  readonly fildes: number;
  readonly file: EntryFile;
}

/**
 * What the disk tier in `directory` holds, whether a cache runs there or not. What a running cache has in memory only is not among it; what it drops or renews
 * meanwhile, and what is not as it was written, is left out.
 *
 * @param url Only the variants of this one: a URL, or path and query.
 * @param nowMs Wall clock.
 * @throws The error of `readdir` when the directory can not be read. `ERR_STORE_VERSION`: the store is of another version.
 */
export function* inspectStore(directory: string, url: string | undefined, nowMs: number): Iterable<StoreEntry> {
  expectReadable(directory);
  const target = url === undefined ? undefined : targetOf(url);
  const partitions = target === undefined ? undefined : [partitionOf(targetHash(target))];
  for (const { name, file } of openEntries(FILE_SYSTEM, directory, partitions)) {
    const { key, status, variant, freshness, tags } = file.meta;
    if (target !== undefined && targetOf(key) !== target) continue;
    yield {
      url: key,
      status,
      bodyBytes: file.bodyBytes,
      fileBytes: name.fileBytes,
      ageSeconds: Math.floor(currentAgeMs(freshness, nowMs) / 1000),
      ttlSeconds: Math.floor(ttlMs(freshness, nowMs) / 1000),
      varyNames: variant.varyNames,
      varyKey: variant.varyKey,
      tags,
    };
  }
}

/** Each stored response whose metadata is as it was written, with its file open until the next one is asked for. */
export function* openEntries(
  files: FileSystem,
  directory: string,
  partitions: readonly number[] = Array.from({ length: PARTITIONS }, (_, partition) => partition),
): Iterable<OpenEntry> {
  for (const partition of partitions) {
    const path = partitionDirectory(directory, partition);
    for (const fileName of files.list(path)) {
      const name = parseEntryName(fileName);
      const fildes = name === undefined ? undefined : openIfThere(files, join(path, fileName));
      if (name === undefined || fildes === undefined) continue;
      try {
        const file = readEntryFile(files, fildes, name.fileBytes);
        if (file !== undefined) yield { name, fileName, fildes, file };
      } finally {
        files.close(fildes);
      }
    }
  }
}

function openIfThere(files: FileSystem, path: string): number | undefined {
  try {
    return files.open(path);
  } catch {
    return undefined; // dropped meanwhile
  }
}
