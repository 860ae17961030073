import { Fields, type Freshness, type Variant } from "@proj/protocol";
import { checksum } from "./checksum.ts";

/**
 * A stored response is one file: the body from byte 0, then the tail. All is written before the file gets its name, and nothing of it is believed
 * before its checksum (XXH3, 64 bits) has been compared.
 *
 *   bodyBytes            the body
 *   8 for each block     checksums of the body's blocks of 64 KiB, the last one shorter
 *   metaBytes            metadata, JSON, UTF-8
 *   FOOTER_BYTES         footer; integers are little-endian:
 *     offset  bytes  field
 *          0      8  magic       "webproxy"
 *          8      4  version
 *         12      4  metaBytes
 *         16      8  bodyBytes
 *         24      8  checksum of block checksums and metadata
 *         32      8  checksum of the footer's first 32 bytes
 */
const FILE_VERSION = 2;
export const BLOCK_BYTES = 64 * 1024;
export const FOOTER_BYTES = 40;
const MAGIC = 0x7978_6f72_7062_6577n; // "webproxy"
const FIELD = { magic: 0, version: 8, metaBytes: 12, bodyBytes: 16, tailSum: 24, footerSum: 32 } as const;

/** All of a stored response but its body. */
export interface EntryMeta {
  readonly key: string;
  readonly variant: Variant;
  readonly status: number;
  readonly fields: Fields;
  readonly freshness: Freshness;
  readonly tags: readonly string[];
  /** See {@link StoredResponse}: 0 in files that were written before it was kept. */
  readonly purgesSeen: number;
  /** See {@link StoredResponse}; left out of files where there is none. */
  readonly filledAfter: number;
  readonly sharedAs: number;
}

export interface Footer {
  readonly metaBytes: number;
  readonly bodyBytes: number;
  readonly tailSum: bigint;
}

export function blocksOf(bodyBytes: number): number {
  return Math.ceil(bodyBytes / BLOCK_BYTES);
}

/** Bytes of the tail before the footer. */
export function tailBytesOf({ bodyBytes, metaBytes }: Footer): number {
  return 8 * blocksOf(bodyBytes) + metaBytes;
}

/** The whole tail, footer included. @param sums Checksums of the body's blocks, in order. */
export function encodeTail(meta: EntryMeta, sums: BigUint64Array, bodyBytes: number): Uint8Array<ArrayBuffer> {
  const json = Buffer.from(renderMeta(meta));
  const sumBytes = sums.byteLength;
  const tail = new Uint8Array(sumBytes + json.length + FOOTER_BYTES);
  tail.set(new Uint8Array(sums.buffer, sums.byteOffset, sumBytes));
  tail.set(json, sumBytes);
  const footerAt = sumBytes + json.length;
  const footer = new DataView(tail.buffer, footerAt);
  footer.setBigUint64(FIELD.magic, MAGIC, true);
  footer.setUint32(FIELD.version, FILE_VERSION, true);
  footer.setUint32(FIELD.metaBytes, json.length, true);
  footer.setBigUint64(FIELD.bodyBytes, BigInt(bodyBytes), true);
  footer.setBigUint64(FIELD.tailSum, checksum(tail.subarray(0, footerAt)), true);
  footer.setBigUint64(FIELD.footerSum, checksum(tail.subarray(footerAt, footerAt + FIELD.footerSum)), true);
  return tail;
}

/** The footer in `bytes`, which are the last {@link FOOTER_BYTES} of a file of `fileBytes` bytes; undefined when it is none of this version. */
export function decodeFooter(bytes: Uint8Array, fileBytes: number): Footer | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length !== FOOTER_BYTES || view.getBigUint64(FIELD.magic, true) !== MAGIC) return undefined;
  if (view.getBigUint64(FIELD.footerSum, true) !== checksum(bytes.subarray(0, FIELD.footerSum))) return undefined;
  if (view.getUint32(FIELD.version, true) !== FILE_VERSION) return undefined;
  const footer: Footer = {
    metaBytes: view.getUint32(FIELD.metaBytes, true),
    bodyBytes: Number(view.getBigUint64(FIELD.bodyBytes, true)),
    tailSum: view.getBigUint64(FIELD.tailSum, true),
  };
  return footer.bodyBytes + tailBytesOf(footer) + FOOTER_BYTES === fileBytes ? footer : undefined;
}

/** Block checksums and metadata from the tail's bytes before the footer; undefined when they are not what was written. */
export function decodeTail(tail: Uint8Array, footer: Footer): { sums: BigUint64Array; meta: EntryMeta } | undefined {
  if (tail.length !== tailBytesOf(footer) || checksum(tail) !== footer.tailSum) return undefined;
  const blocks = blocksOf(footer.bodyBytes);
  const sums = new BigUint64Array(tail.slice(0, blocks * 8).buffer);
  return { sums, meta: parseMeta(new TextDecoder().decode(tail.subarray(blocks * 8))) };
}

/** Names and values of the fields in two lists: the same order, the same case, repeated lines repeated. */
interface MetaJson
  extends Omit<EntryMeta, "fields" | "filledAfter" | "sharedAs">,
    Partial<Pick<EntryMeta, "filledAfter" | "sharedAs">> {
  readonly names: string[];
  readonly values: string[];
}

/** Metadata as text: what {@link parseMeta} takes. */
export function renderMeta({
  fields,
  key,
  variant,
  status,
  freshness,
  tags,
  purgesSeen,
  filledAfter,
  sharedAs,
}: EntryMeta): string {
  const names: string[] = [];
  const values: string[] = [];
  for (const [name, value] of fields) {
    names.push(name);
    values.push(value);
  }
  const json: MetaJson = {
    ...{ key, variant, status, freshness, tags, purgesSeen, names, values },
    ...(filledAfter !== 0 && { filledAfter }),
    ...(sharedAs !== 0 && { sharedAs }),
  };
  return JSON.stringify(json);
}

// What the checksum vouches for is what renderMeta wrote: it needs no second check.
export function parseMeta(json: string): EntryMeta {
  const { names, values, filledAfter = 0, sharedAs = 0, ...meta } = JSON.parse(json) as MetaJson;
  return { ...meta, purgesSeen: meta.purgesSeen ?? 0, filledAfter, sharedAs, fields: new Fields(names, values) };
}
