/** The one of `known` that somebody may have meant by `word`; undefined when none is near. Case and separators do not count. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const plain = plainOf(word);
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.min(3, Math.floor(plain.length / 3))) + 1;
  for (const candidate of known) {
    const distance = editDistance(plain, plainOf(candidate));
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

function plainOf(word: string): string {
  return word.toLowerCase().replace(/[-_]/g, "");
}

/** Insertions, deletions, replacements and swaps of neighbours that turn one into the other. */
function editDistance(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row++) {
    const line = [row];
    for (let column = 1; column <= to.length; column++) {
      const cost = from[row - 1] === to[column - 1] ? 0 : 1;
      let least = Math.min(last[column]! + 1, line[column - 1]! + 1, last[column - 1]! + cost);
      const isSwap = row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      if (isSwap) least = Math.min(least, beforeLast[column - 2]! + 1);
      line.push(least);
    }
    beforeLast = last;
    last = line;
  }
  return last[to.length]!;
}
