/** Offsets in bytes of two semaphores, and the index of a word that is handed to and fro. */
export const HAND_OVER = { asked: 0, answered: 64, word: 32, bytes: 256 } as const;

const scratch = new Uint8Array(64);

/** Message number `round`: its length and every byte follow from the number. Valid until the next call. */
export function messageOf(round: number): Uint8Array {
  const length = round % 65;
  for (let i = 0; i < length; i++) scratch[i] = (round >>> ((i % 4) * 8)) + i;
  return scratch.subarray(0, length);
}
