/** Some bytes of a body, at least one: from `start` up to, not including, `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** The ranges in order of position, touching and overlapping ones joined. */
export function mergeRanges(ranges: readonly ByteRange[]): ByteRange[] {
  const merged: ByteRange[] = [];
  for (const range of [...ranges].sort((a, b) => a.start - b.start)) {
    const last = merged.at(-1);
    if (last === undefined || range.start > last.end) merged.push(range);
    else if (range.end > last.end) merged[merged.length - 1] = { start: last.start, end: range.end };
  }
  return merged;
}

/** The parts of `wanted` that none of `held` covers, in order of position; empty when all of it is held. */
export function missingRanges(held: readonly ByteRange[], wanted: ByteRange): ByteRange[] {
  const missing: ByteRange[] = [];
  let at = wanted.start;
  for (const range of mergeRanges(held)) {
    if (range.end <= at) continue;
    if (range.start >= wanted.end) break;
    if (range.start > at) missing.push({ start: at, end: range.start });
    at = range.end;
  }
  if (at < wanted.end) missing.push({ start: at, end: wanted.end });
  return missing;
}
