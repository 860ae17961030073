/**
 * A message on a notice queue, cache to one proxy thread: up to NOTICES_PER_MESSAGE transfers, u32 little-endian each, that were answered
 * `pending` and now have something to read. A segment is never held while the origin thinks: a thousand slow misses take
 * none, and hits go on.
 *
 *   offset  bytes  field
 *        0      4  proxyLife
 *        4    4*n  transfer
 */
export const NOTICES_PER_MESSAGE = 127;
export const NOTICE_MESSAGE_BYTES_MAX = 4 + 4 * NOTICES_PER_MESSAGE;

/** Writes the message; returns its length. */
export function writeNotices(view: DataView, proxyLife: number, transfers: readonly number[]): number {
  view.setUint32(0, proxyLife, true);
  for (const [index, transfer] of transfers.entries()) view.setUint32(4 + 4 * index, transfer, true);
  return 4 + 4 * transfers.length;
}

/** The transfers named by a message of `bytes` bytes; undefined when it is malformed or speaks to another life. */
export function readNotices(view: DataView, bytes: number, proxyLife: number): number[] | undefined {
  if (bytes < 8 || bytes % 4 !== 0 || bytes > view.byteLength || view.getUint32(0, true) !== proxyLife)
    return undefined;
  return Array.from({ length: bytes / 4 - 1 }, (_, index) => view.getUint32(4 + 4 * index, true));
}
