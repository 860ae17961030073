import { checksum } from "./checksum.ts";
import { BLOCK_BYTES, decodeFooter, decodeTail, type EntryMeta, FOOTER_BYTES, tailBytesOf } from "./entry-tail.ts";
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

/** A piece of a file that is to be read. */
interface Piece {
  readonly into: Uint8Array;
  readonly position: number;
}

/**
 * Reads the tail of the file of a stored response.
 *
 * @param fileBytes Its length, as its name says.
 * @returns undefined when it is not what was written.
 * @throws The error of `read`.
 */
export function readEntryFile(files: FileSystem, fildes: number, fileBytes: number): EntryFile | undefined {
  const reads = tailReads(fileBytes);
  let step = reads.next();
  while (step.done !== true) step = reads.next(files.read(fildes, step.value.into, step.value.position));
  return step.value;
}

/** As {@link readEntryFile}, where nothing has to be waited for. */
export function readEntryFileAtHand(
  files: FileSystem,
  fildes: number,
  fileBytes: number,
): EntryFile | undefined | "not-at-hand" {
  const reads = tailReads(fileBytes);
  let step = reads.next();
  while (step.done !== true) {
    const { into, position } = step.value;
    if (files.readAtHand(fildes, into, position) < into.length) return "not-at-hand";
    step = reads.next(into.length);
  }
  return step.value;
}

/** As {@link readEntryFile}, by another thread. */
export async function readEntryFileLater(
  files: FileSystem,
  fildes: number,
  fileBytes: number,
): Promise<EntryFile | undefined> {
  const reads = tailReads(fileBytes);
  let step = reads.next();
  while (step.done !== true) step = reads.next(await files.readLater(fildes, step.value.into, step.value.position));
  return step.value;
}

/** What has to be read, a piece at a time; each `next` is told how many bytes there were of the one before it. */
function* tailReads(fileBytes: number): Generator<Piece, EntryFile | undefined, number> {
  const last = new Uint8Array(new ArrayBuffer(Math.min(TAIL_READ_BYTES, fileBytes)));
  const count = yield { into: last, position: fileBytes - last.length };
  if (count < last.length || count < FOOTER_BYTES) return undefined;
  const footer = decodeFooter(last.subarray(count - FOOTER_BYTES), fileBytes);
  if (footer === undefined) return undefined;
  const tailBytes = tailBytesOf(footer);
  let tail = last.subarray(0, count - FOOTER_BYTES);
  if (tail.length >= tailBytes) tail = tail.subarray(tail.length - tailBytes);
  else {
    tail = new Uint8Array(new ArrayBuffer(tailBytes));
    yield { into: tail, position: footer.bodyBytes };
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
