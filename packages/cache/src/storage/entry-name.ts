import { join } from "node:path";
import { targetHash } from "@proj/protocol/process";
import { digestOf, type EntryDigest, UNKNOWN_DIGEST } from "./entry-digest.ts";
import { targetOf } from "./key-target.ts";

/**
 * The name of a stored response's file, which says all that the index needs, so that a store is known again by listing its directories:
 *
 *   HHHHHHHHVVVVVVVVVVVVVVVV-SIZE-UNTIL-DIGEST
 *   H      hash of the target, 8 hexadecimal digits: which shard owns it, whatever the number of shards
 *   V      which response to that target, 16 hexadecimal digits: hash of key and variant
 *   SIZE   length of the file in bytes, base 36
 *   UNTIL  when it is of no use to anybody any more, seconds since the epoch, base 36; 0: it can always be validated
 *   DIGEST what purges need to know (entry-digest.ts), base 36; it is not there in names of version 2
 *
 * It lives in the directory named by the first two digits.
 */
export interface EntryName {
  readonly hash: number;
  /** Which response to the target it is: the two halves of a 64-bit hash of key and variant. */
  readonly idHigh: number;
  readonly idLow: number;
  readonly fileBytes: number;
  readonly usefulUntilSeconds: number;
  readonly digest: EntryDigest;
}

const NAME = /^[0-9a-f]{24}-[0-9a-z]{1,11}-[0-9a-z]{1,7}(?:-[0-9a-z]{1,10})?$/;
export const PARTITIONS = 256;

export function formatEntryName({ hash, idHigh, idLow, fileBytes, usefulUntilSeconds, digest }: EntryName): string {
  const name = `${hex(hash)}${hex(idHigh)}${hex(idLow)}-${fileBytes.toString(36)}-${usefulUntilSeconds.toString(36)}`;
  return digest === UNKNOWN_DIGEST ? name : `${name}-${digest.toString(36)}`;
}

/** undefined for a name that no store has given. */
export function parseEntryName(name: string): EntryName | undefined {
  if (!NAME.test(name)) return undefined;
  const secondDash = name.indexOf("-", 25);
  const thirdDash = name.indexOf("-", secondDash + 1);
  const untilEnd = thirdDash < 0 ? name.length : thirdDash;
  return {
    hash: Number.parseInt(name.slice(0, 8), 16),
    idHigh: Number.parseInt(name.slice(8, 16), 16),
    idLow: Number.parseInt(name.slice(16, 24), 16),
    fileBytes: Number.parseInt(name.slice(25, secondDash), 36),
    usefulUntilSeconds: Number.parseInt(name.slice(secondDash + 1, untilEnd), 36),
    digest: thirdDash < 0 ? UNKNOWN_DIGEST : Number.parseInt(name.slice(thirdDash + 1), 36),
  };
}

/** The hash in a name, without a look at the rest of it: shards that share a directory pass over most of its names. NaN where there is none. */
export function hashInName(name: string): number {
  return Number.parseInt(name.slice(0, 8), 16);
}

function hex(word: number): string {
  return word.toString(16).padStart(8, "0");
}

/** Which of the {@link PARTITIONS} directories a hash belongs to. */
export function partitionOf(hash: number): number {
  return hash >>> 24;
}

export function partitionDirectory(directory: string, partition: number): string {
  return join(directory, partition.toString(16).padStart(2, "0"));
}

export function entryId(key: string, varyKey: string): Pick<EntryName, "idHigh" | "idLow"> {
  const id = Bun.hash.xxHash3(`${key}\n${varyKey}`);
  return { idHigh: Number(id >> 32n), idLow: Number(id & 0xffff_ffffn) };
}

/** Whether a file with this name holds what its metadata says: by another name a purge may have passed it over. */
export function isNameOf(
  { hash, idHigh, idLow, digest }: EntryName,
  { key, variant, tags }: { key: string; variant: { varyKey: string }; tags: readonly string[] },
): boolean {
  const id = entryId(key, variant.varyKey);
  if (hash !== targetHash(targetOf(key)) || idHigh !== id.idHigh || idLow !== id.idLow) return false;
  return digest === UNKNOWN_DIGEST || digest === digestOf(key, tags);
}
