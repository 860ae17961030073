/** Bits of a size: numbers take 0 to 6 bytes as integers, 8 as they are. */
const SIZE_BITS = 4;
const SIZE_MASK = 2 ** SIZE_BITS - 1;
const INTEGER_BYTES_MAX = 6;
const INTEGER_END = 2 ** (8 * INTEGER_BYTES_MAX);
const FLOAT_BYTES = 8;

/**
 * Writes numbers of which most are 0, and most others small or times in milliseconds, each in as few bytes as it needs: none for 0. Little-endian.
 *
 * @param numbers Eight at most.
 * @returns Where they end, and their sizes, which {@link readNumbers} has to be given: four bits for each, the first one's lowest.
 */
export function writeNumbers(bytes: Buffer, at: number, numbers: readonly number[]): { end: number; sizes: number } {
  let end = at;
  let sizes = 0;
  for (let index = 0; index < numbers.length; index++) {
    const number = numbers[index]!;
    const size = sizeOf(number);
    if (size === FLOAT_BYTES) bytes.writeDoubleLE(number, end);
    else if (size > 0) bytes.writeUIntLE(number, end, size);
    sizes |= size << (SIZE_BITS * index);
    end += size;
  }
  return { end, sizes: sizes >>> 0 };
}

/** The first `count` of the numbers that were written at `at`, and where those end. */
export function readNumbers(
  bytes: Buffer,
  at: number,
  sizes: number,
  count: number,
): { end: number; numbers: number[] } {
  const numbers: number[] = [];
  let end = at;
  for (let index = 0; index < count; index++) {
    const size = (sizes >>> (SIZE_BITS * index)) & SIZE_MASK;
    if (size === 0) numbers.push(0);
    else numbers.push(size === FLOAT_BYTES ? bytes.readDoubleLE(end) : bytes.readUIntLE(end, size));
    end += size;
  }
  return { end, numbers };
}

function sizeOf(number: number): number {
  if (number === 0) return 0;
  if (!Number.isInteger(number) || number < 0 || number >= INTEGER_END) return FLOAT_BYTES;
  if (number < 2 ** 32) return number < 2 ** 16 ? (number < 2 ** 8 ? 1 : 2) : number < 2 ** 24 ? 3 : 4;
  return number < 2 ** 40 ? 5 : 6;
}
