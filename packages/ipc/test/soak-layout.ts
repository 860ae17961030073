/** The memory that the soak's processes share: a mutex and what it protects (indices of 32-bit words). */
export const SOAK = { mutex: 0, left: 16, right: 17, ownerDeaths: 18, bytes: 128 } as const;

/** The word of a segment where its holder writes its pid. */
export const MARK_WORD = 32;

/** Numbers below a bound from a seed (a linear congruential generator, good enough to mix steps). */
export function randomOf(seed: number): (below: number) => number {
  let state = (seed | 0) & 0x7fffffff;
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >>> 8) % below;
  };
}
