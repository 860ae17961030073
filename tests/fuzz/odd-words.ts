import type { SeededRandom } from "../chaos/random.ts";

/** A 32-bit word: values at which something turns over, more often than any other. */
export function oddWord(random: SeededRandom): number {
  return random.pick([
    0,
    1,
    -1,
    2,
    63,
    64,
    191,
    192,
    4096,
    65_535,
    65_536,
    0x7fffffff,
    -0x80000000,
    random.between(-(2 ** 31), 2 ** 31 - 1),
  ]);
}

export function oddBytes(random: SeededRandom, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random.between(0, 255));
}
