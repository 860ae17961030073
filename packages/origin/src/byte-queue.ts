const NONE = new Uint8Array(0);
const CAPACITY_MIN = 4096;

/**
 * Octets in order: appended at the end, dropped from the front. Holds a head that is not whole yet (the socket's own
 * buffer is reused after each read) and what the kernel has not taken of a request. Grows by doubling, so an octet at
 * a time costs one copy of each.
 */
export class ByteQueue {
  bytes: Uint8Array = NONE;
  length = 0;

  /** Adds `chunk[start..end)` at the end. */
  append(chunk: Uint8Array, start: number, end: number): void {
    const length = this.length + end - start;
    if (length > this.bytes.length) {
      const grown = new Uint8Array(Math.max(CAPACITY_MIN, length, this.bytes.length * 2));
      grown.set(this.bytes.subarray(0, this.length));
      this.bytes = grown;
    }
    this.bytes.set(chunk.subarray(start, end), this.length);
    this.length = length;
  }

  /** Drops the first `count` octets. */
  dropFirst(count: number): void {
    this.bytes.copyWithin(0, count, this.length);
    this.length -= count;
  }

  clear(): void {
    this.bytes = NONE;
    this.length = 0;
  }
}
