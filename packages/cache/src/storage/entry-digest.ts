import type { KeySelector } from "../key-selector.ts";
import { targetOf } from "./key-target.ts";

/**
 * What a purge has to know of a stored response to pass over most of them without reading their files: a number of 48 bits in the file's name.
 *
 *   bits 0-31   one of them for each tag, by the tag's hash
 *   bits 32-47  hash of the path's first segment, 1 and above
 *
 * It may say of a response that a purge concerns it although that is not so; never the other way round.
 */
export type EntryDigest = number;

/** Of a file that was named before there were digests: any purge may concern it. */
export const UNKNOWN_DIGEST: EntryDigest = 0;
const FOLDER_UNIT = 2 ** 32;
const FOLDERS = 65_535;

/** What digests have of all that a purge may concern. */
export interface DigestHint {
  readonly tagBit?: number;
  readonly folder?: number;
}

export function digestOf(key: string, tags: readonly string[]): EntryDigest {
  let tagBits = 0;
  for (const tag of tags) tagBits |= tagBitOf(tag);
  return folderOf(targetOf(key)) * FOLDER_UNIT + (tagBits >>> 0);
}

/** undefined: such a purge may concern anything. */
export function digestHint(selector: KeySelector): DigestHint | undefined {
  if (selector.by === "tag") return { tagBit: tagBitOf(selector.tag) };
  if (selector.by !== "prefix") return undefined;
  const target = targetOf(selector.prefix);
  // Only a segment that is closed is the whole of it.
  return target.indexOf("/", 1) < 0 ? undefined : { folder: folderOf(target) };
}

export function mayBe({ tagBit, folder }: DigestHint, digest: EntryDigest): boolean {
  if (digest === UNKNOWN_DIGEST) return true;
  // Bit operations take the lower 32 bits.
  if (tagBit !== undefined && (digest & tagBit) === 0) return false;
  return folder === undefined || folder === Math.floor(digest / FOLDER_UNIT);
}

function tagBitOf(tag: string): number {
  return 1 << (Bun.hash.xxHash32(tag) % 32);
}

function folderOf(target: string): number {
  const end = target.indexOf("/", 1);
  return 1 + (Bun.hash.xxHash32(end < 0 ? target : target.slice(0, end)) % FOLDERS);
}

/** Of several selectors; undefined: one of them may concern anything. */
export function digestHints(selectors: readonly KeySelector[]): DigestHint[] | undefined {
  const hints = selectors.map(digestHint).filter((hint) => hint !== undefined);
  return hints.length === selectors.length ? hints : undefined;
}
