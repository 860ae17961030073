/** What requests for something small take while something else goes on, one after the other. @returns Milliseconds of each, the shortest first. */
export async function timesUntil(end: Promise<unknown>, url: string): Promise<number[]> {
  let isOver = false;
  end.then(() => {
    isOver = true;
  });
  const times: number[] = [];
  while (!isOver) {
    const startedMs = performance.now();
    const response = await fetch(url);
    await response.bytes();
    times.push(performance.now() - startedMs);
  }
  return times.sort((one, other) => one - other);
}

/** @param share 0.99 for the 99th percentile; 1 for the longest. */
export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function describeTimes(sorted: readonly number[]): string {
  const at = (share: number) => `${percentile(sorted, share).toFixed(2)} ms`;
  return `${sorted.length} small ones, p50 ${at(0.5)}, p99 ${at(0.99)}, longest ${at(1)}`;
}
