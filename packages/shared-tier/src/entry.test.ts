import { describe, expect, test } from "bun:test";
import { CHUNK_BYTES, checksum, chunksOf, decodeEntry, type Entry, encodeEntry, isChunk } from "./entry.ts";

function entryOf(bodyBytes: number): Entry {
  const sums = new BigUint64Array(chunksOf(bodyBytes)).map((_, index) => BigInt(index) * 0x1234_5678_9abcn + 7n);
  return {
    key: "http://origin.example/ä?x=1",
    variant: "-",
    body: "0123456789abcdef",
    bodyBytes,
    filledAfter: 1_795_000_000_000_001,
    expiresAtMs: 1_800_000_000_123,
    writtenAtMs: 1_700_000_000_456.25,
    sums,
    description: Buffer.from('{"status":200}'),
  };
}

describe("decodeEntry()", () => {
  test.each([0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 5 * CHUNK_BYTES - 3])(
    "gives back what was encoded, of %d bytes",
    (bytes) => {
      const entry = entryOf(bytes);
      const decoded = decodeEntry("-", encodeEntry(entry))!;
      expect({ ...decoded, description: String(decoded.description) }).toEqual({
        ...entry,
        description: String(entry.description),
      } as unknown as typeof decoded & { description: string });
    },
  );

  test("takes nothing of which a bit is another, which is cut, or longer", () => {
    const bytes = encodeEntry(entryOf(3 * CHUNK_BYTES));
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Buffer.from(bytes);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(decodeEntry("-", changed)).toBeUndefined();
    }
    for (let length = 0; length < bytes.length; length++)
      expect(decodeEntry("-", bytes.subarray(0, length))).toBeUndefined();
    expect(decodeEntry("-", Buffer.concat([bytes, Buffer.from("x")]))).toBeUndefined();
  });
});

test("isChunk() is true of the very bytes only", () => {
  const chunk = Buffer.alloc(100, "x");
  const entry = { bodyBytes: CHUNK_BYTES + 100, sums: new BigUint64Array([0n, checksum(chunk)]) };
  expect(isChunk(entry, 1, chunk)).toBe(true);
  expect(isChunk(entry, 1, chunk.subarray(1))).toBe(false);
  expect(isChunk(entry, 1, Buffer.alloc(100, "y"))).toBe(false);
});
