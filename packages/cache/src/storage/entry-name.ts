import { join } from "node:path";

/**
 * The name of a stored response's file, which says all that the index needs, so that a store is known again by listing its directories:
 *
 *   HHHHHHHHVVVVVVVVVVVVVVVV-SIZE-UNTIL
 *   H      hash of the target, 8 hexadecimal digits: which shard owns it, whatever the number of shards
 *   V      which response to that target, 16 hexadecimal digits: hash of key and variant
 *   SIZE   length of the file in bytes, base 36
 *   UNTIL  when it is of no use to anybody any more, seconds since the epoch, base 36; 0: it can always be validated
 *
 * It lives in the directory named by the first two digits.
 */
export interface EntryName {
  readonly hash: number;
  readonly id: bigint;
  readonly fileBytes: number;
  readonly usefulUntilSeconds: number;
}

const NAME = /^([0-9a-f]{8})([0-9a-f]{16})-([0-9a-z]{1,11})-([0-9a-z]{1,7})$/;
export const PARTITIONS = 256;

export function formatEntryName({ hash, id, fileBytes, usefulUntilSeconds }: EntryName): string {
  const what = `${hash.toString(16).padStart(8, "0")}${id.toString(16).padStart(16, "0")}`;
  return `${what}-${fileBytes.toString(36)}-${usefulUntilSeconds.toString(36)}`;
}

/** undefined for a name that no store has given. */
export function parseEntryName(name: string): EntryName | undefined {
  const match = NAME.exec(name);
  if (match === null) return undefined;
  return {
    hash: Number.parseInt(match[1]!, 16),
    id: BigInt(`0x${match[2]!}`),
    fileBytes: Number.parseInt(match[3]!, 36),
    usefulUntilSeconds: Number.parseInt(match[4]!, 36),
  };
}

/** Which of the {@link PARTITIONS} directories a hash belongs to. */
export function partitionOf(hash: number): number {
  return hash >>> 24;
}

export function partitionDirectory(directory: string, partition: number): string {
  return join(directory, partition.toString(16).padStart(2, "0"));
}

/** Which response to its target one is. */
export function entryId(key: string, varyKey: string): bigint {
  return Bun.hash.xxHash3(`${key}\n${varyKey}`);
}
