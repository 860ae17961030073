/** XXH3, 64 bits: of what is stored, to be compared before it is believed. */
export function checksum(bytes: Uint8Array): bigint {
  return Bun.hash.xxHash3(bytes);
}
