/**
 * One stored response in the engine: its metadata is one value, its body chunks of 512 KiB under names of their own. Nothing of either is believed before
 * its checksum (XXH3, 64 bits) has been compared.
 *
 *   offset  bytes  field (integers and floats are little-endian)
 *        0      4  "WPS1": format and version
 *        4     16  id of the body: its chunks' names hold it; a body that replaces another has another id
 *       20      8  number of chunks, in hexadecimal digits (scripts read it)
 *       28      8  bodyBytes      float64
 *       36      8  filledAfter    float64: the purge log's sequence number that the node had applied when it asked the origin
 *       44      8  expiresAt      float64: ms by the engine's clock; of no use afterwards
 *       52      8  writtenAt      float64: ms by the engine's clock
 *       60      4  length of the key in bytes, then 8 for each chunk: its checksum; then the key; then what the caller keeps beside
 *      end      8  checksum of all before
 */
export interface Entry {
  readonly key: string;
  /** Its field in the metadata hash. */
  readonly variant: string;
  readonly body: string;
  readonly bodyBytes: number;
  readonly filledAfter: number;
  readonly expiresAtMs: number;
  readonly writtenAtMs: number;
  readonly sums: BigUint64Array;
  /** The caller's own description of the response. */
  readonly description: Uint8Array;
  /** All of a small body, as it came along; not compared with its checksum yet. */
  readonly comesAlong?: Uint8Array;
}

export const CHUNK_BYTES = 512 * 1024;
const MAGIC = "WPS1";
const OFFSET = {
  body: 4,
  chunks: 20,
  bodyBytes: 28,
  filledAfter: 36,
  expiresAt: 44,
  writtenAt: 52,
  keyBytes: 60,
  sums: 64,
} as const;
const BODY_ID = /^[0-9a-f]{16}$/;
const SUM_BYTES = 8;

export function checksum(bytes: Uint8Array): bigint {
  return Bun.hash.xxHash3(bytes);
}

export function chunksOf(bodyBytes: number): number {
  return Math.ceil(bodyBytes / CHUNK_BYTES);
}

/** Bytes of chunk `index`. */
export function chunkBytes({ bodyBytes }: Pick<Entry, "bodyBytes">, index: number): number {
  return Math.min(CHUNK_BYTES, bodyBytes - index * CHUNK_BYTES);
}

/** Whether these are the bytes of chunk `index`. */
export function isChunk(entry: Pick<Entry, "bodyBytes" | "sums">, index: number, bytes: Uint8Array): boolean {
  return bytes.length === chunkBytes(entry, index) && checksum(bytes) === entry.sums[index];
}

export function encodeEntry(entry: Omit<Entry, "variant">): Buffer {
  const { key, body, bodyBytes, sums, description } = entry;
  const keyBytes = Buffer.from(key);
  const keyAt = OFFSET.sums + sums.byteLength;
  const descriptionAt = keyAt + keyBytes.length;
  const end = descriptionAt + description.length;
  const bytes = Buffer.from(new ArrayBuffer(end + SUM_BYTES));
  const view = new DataView(bytes.buffer);
  bytes.write(`${MAGIC}${body}${sums.length.toString(16).padStart(8, "0")}`, 0, "latin1");
  view.setFloat64(OFFSET.bodyBytes, bodyBytes, true);
  view.setFloat64(OFFSET.filledAfter, entry.filledAfter, true);
  view.setFloat64(OFFSET.expiresAt, entry.expiresAtMs, true);
  view.setFloat64(OFFSET.writtenAt, entry.writtenAtMs, true);
  view.setUint32(OFFSET.keyBytes, keyBytes.length, true);
  bytes.set(new Uint8Array(sums.buffer, sums.byteOffset, sums.byteLength), OFFSET.sums);
  bytes.set(keyBytes, keyAt);
  bytes.set(description, descriptionAt);
  view.setBigUint64(end, checksum(bytes.subarray(0, end)), true);
  return bytes;
}

/** What was written under `variant`; undefined when these are not the bytes that {@link encodeEntry} made, in this version. */
export function decodeEntry(variant: string, value: Uint8Array): Entry | undefined {
  const bytes = Buffer.from(Uint8Array.from(value).buffer);
  const end = bytes.length - SUM_BYTES;
  if (end < OFFSET.sums || bytes.toString("latin1", 0, MAGIC.length) !== MAGIC) return undefined;
  const view = new DataView(bytes.buffer);
  if (view.getBigUint64(end, true) !== checksum(bytes.subarray(0, end))) return undefined;
  const body = bytes.toString("latin1", OFFSET.body, OFFSET.chunks);
  const chunks = Number.parseInt(bytes.toString("latin1", OFFSET.chunks, OFFSET.bodyBytes), 16);
  const bodyBytes = view.getFloat64(OFFSET.bodyBytes, true);
  const keyAt = OFFSET.sums + chunks * SUM_BYTES;
  const descriptionAt = keyAt + view.getUint32(OFFSET.keyBytes, true);
  if (!BODY_ID.test(body) || chunks !== chunksOf(bodyBytes) || !(descriptionAt <= end)) return undefined;
  return {
    key: bytes.toString("utf8", keyAt, descriptionAt),
    variant,
    body,
    bodyBytes,
    filledAfter: view.getFloat64(OFFSET.filledAfter, true),
    expiresAtMs: view.getFloat64(OFFSET.expiresAt, true),
    writtenAtMs: view.getFloat64(OFFSET.writtenAt, true),
    sums: new BigUint64Array(bytes.buffer.slice(OFFSET.sums, keyAt)),
    description: bytes.subarray(descriptionAt, end),
  };
}
