import {
  BLOCK_BYTES,
  checksum,
  decodeFooter,
  decodeTail,
  type EntryMeta,
  FOOTER_BYTES,
  tailBytesOf,
} from "./entry-tail.ts";
import type { FileSystem } from "./file-system.ts";

/** Most tails are no longer: footer and tail are then one read. */
const TAIL_READ_BYTES = 4096;

/** What the file of a stored response holds besides the body. */
export interface EntryFile {
  readonly meta: EntryMeta;
  readonly bodyBytes: number;
  /** Of the body's blocks, in order. */
  readonly sums: BigUint64Array;
}

/**
 * Reads the tail of the file of a stored response.
 *
 * @param fileBytes Its length, as its name says.
 * @returns undefined when it is not what was written.
 * @throws The error of `read`.
 */
export function readEntryFile(files: FileSystem, fildes: number, fileBytes: number): EntryFile | undefined {
  const last = new Uint8Array(Math.min(TAIL_READ_BYTES, fileBytes));
  const count = files.read(fildes, last, fileBytes - last.length);
  if (count < last.length || count < FOOTER_BYTES) return undefined;
  const footer = decodeFooter(last.subarray(count - FOOTER_BYTES), fileBytes);
  if (footer === undefined) return undefined;
  const tailBytes = tailBytesOf(footer);
  let tail = last.subarray(0, count - FOOTER_BYTES);
  if (tail.length >= tailBytes) tail = tail.subarray(tail.length - tailBytes);
  else {
    tail = new Uint8Array(tailBytes);
    files.read(fildes, tail, footer.bodyBytes);
  }
  const decoded = decodeTail(tail, footer);
  return decoded === undefined ? undefined : { ...decoded, bodyBytes: footer.bodyBytes };
}

/** Whether every block of the body is what was written. */
export function isBodyWhole(files: FileSystem, fildes: number, { bodyBytes, sums }: EntryFile): boolean {
  const block = new Uint8Array(BLOCK_BYTES);
  return sums.every((sum, index) => {
    const bytes = block.subarray(0, Math.min(BLOCK_BYTES, bodyBytes - index * BLOCK_BYTES));
    return files.read(fildes, bytes, index * BLOCK_BYTES) === bytes.length && checksum(bytes) === sum;
  });
}
