import { LAYOUT_VERSION } from "./layout-version.ts";

/**
 * A message on a request queue, proxy to cache: 1 to REQUESTS_PER_MESSAGE records of REQUEST_BYTES bytes. Integers are little-endian.
 *
 *   offset  bytes  field
 *        0      2  version         LAYOUT_VERSION
 *        2      1  operation       1 open, 2 read, 3 close, 4 invalidate, 5 keep
 *        3      1  (zero)
 *        4      4  thread          the proxy thread that asks; its doorbell is rung when the answer is there
 *        8      4  proxyLife       the proxy's life number: a record of a former life is dropped
 *       12      4  transfer        chosen by the proxy thread, one number for each response on its way
 *       16      4  segmentId       all but close: where the answer goes
 *       20      4  segmentGeneration
 *       24      4  segmentBytes    size of that segment
 *       28      4  ticket          chosen by the proxy thread, written into the segment's header too
 *       32      8  firstByte       read: first byte wanted of the response's stream (head block, then body)
 *       40      4  bytesMax        read: at most so many bytes; open, invalidate, keep: length of the block in the segment
 *       44      4  (zero)
 *
 * `open` says what is wanted by a request block in the body of the segment it names (request-block.ts), and wants the stream from its
 * byte 0. `close` names a transfer that ends early or has been read as far as it was wanted: whatever is still asked for on its behalf is answered
 * at once as `cancelled`. `invalidate` says by an invalidation block (invalidation-block.ts) what is no longer good; `keep` brings
 * a response that the cache may store (passed-response-block.ts).
 */
export const REQUEST_BYTES = 48;
export const REQUESTS_PER_MESSAGE = 10;
/** A message is small on purpose: an ordinary user may have 134 queues of 10 x 512 bytes, but only 9 of 10 x 8,192. */
export const REQUEST_MESSAGE_BYTES_MAX = 512;

export type Operation = "open" | "read" | "close" | "invalidate" | "keep";

export interface ChannelRequest {
  operation: Operation;
  thread: number;
  proxyLife: number;
  transfer: number;
  segmentId: number;
  segmentGeneration: number;
  segmentBytes: number;
  ticket: number;
  firstByte: number;
  bytesMax: number;
}

const CODE: Record<Operation, number> = { open: 1, read: 2, close: 3, invalidate: 4, keep: 5 };
const OPERATION: readonly (Operation | undefined)[] = [undefined, "open", "read", "close", "invalidate", "keep"];

/** Writes `request` as the record at `offset`. */
export function writeRequest(view: DataView, offset: number, request: ChannelRequest): void {
  view.setUint32(offset, LAYOUT_VERSION | (CODE[request.operation] << 16), true);
  view.setUint32(offset + 4, request.thread, true);
  view.setUint32(offset + 8, request.proxyLife, true);
  view.setUint32(offset + 12, request.transfer, true);
  view.setUint32(offset + 16, request.segmentId, true);
  view.setUint32(offset + 20, request.segmentGeneration, true);
  view.setUint32(offset + 24, request.segmentBytes, true);
  view.setUint32(offset + 28, request.ticket, true);
  view.setUint32(offset + 32, request.firstByte >>> 0, true);
  view.setUint32(offset + 36, Math.floor(request.firstByte / 2 ** 32), true);
  view.setUint32(offset + 40, request.bytesMax, true);
  view.setUint32(offset + 44, 0, true);
}

/** How many records a message of `bytes` bytes holds; undefined when that is no whole number of them. */
export function requestsIn(bytes: number): number | undefined {
  const count = bytes / REQUEST_BYTES;
  return Number.isInteger(count) && count >= 1 && count <= REQUESTS_PER_MESSAGE ? count : undefined;
}

/** Whether the record at `offset` says that it is of another layout version: its writer is another release. */
export function isOfOtherVersion(view: DataView, offset: number): boolean {
  return view.getUint16(offset, true) !== LAYOUT_VERSION;
}

/** Reads the record at `offset`; undefined when it is of another version, of no known operation, or holds a byte position beyond 2^53. */
export function readRequest(view: DataView, offset: number): ChannelRequest | undefined {
  const word = view.getUint32(offset, true);
  const operation = OPERATION[word >>> 16];
  if ((word & 0xffff) !== LAYOUT_VERSION || operation === undefined) return undefined;
  const firstByte = view.getUint32(offset + 32, true) + view.getUint32(offset + 36, true) * 2 ** 32;
  if (firstByte > Number.MAX_SAFE_INTEGER) return undefined;
  return {
    operation,
    thread: view.getUint32(offset + 4, true),
    proxyLife: view.getUint32(offset + 8, true),
    transfer: view.getUint32(offset + 12, true),
    segmentId: view.getUint32(offset + 16, true),
    segmentGeneration: view.getUint32(offset + 20, true),
    segmentBytes: view.getUint32(offset + 24, true),
    ticket: view.getUint32(offset + 28, true),
    firstByte,
    bytesMax: view.getUint32(offset + 40, true),
  };
}
