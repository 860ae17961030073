/** Requests as the numbers of objects, each with a size in bytes. */
export interface Trace {
  name: string;
  requests: Uint32Array;
  /** By object number. */
  sizes: Float64Array;
}

export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0; // mulberry32
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Sizes as on the web: log-normal, median 4 KiB, a long tail; independent of popularity. */
function webSizes(count: number, random: () => number): Float64Array {
  return Float64Array.from({ length: count }, () => {
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    return Math.ceil(Math.min(4 * 1024 * 1024, 4096 * Math.exp(1.5 * normal)));
  });
}

/** Draws ranks 0..count-1 with probability proportional to 1 / (rank + 1)^alpha. */
function zipf(count: number, alpha: number, random: () => number): () => number {
  const cumulative = new Float64Array(count);
  let sum = 0;
  for (let rank = 0; rank < count; rank++) cumulative[rank] = sum += (rank + 1) ** -alpha;
  return () => {
    const wanted = random() * sum;
    let low = 0;
    let high = count - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (cumulative[middle]! < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

/** The traces of the table. @param scale Objects of the Zipf traces; there are five requests for each. */
export function traces(scale: number, seed: number): Trace[] {
  const of = (
    name: string,
    objects: number,
    requests: number,
    next: (index: number, random: () => number) => number,
  ) => {
    const random = randomOf(seed);
    const sizes = webSizes(objects, random);
    return { name, sizes, requests: Uint32Array.from({ length: requests }, (_, index) => next(index, random)) };
  };
  const zipfTrace = (alpha: number) => {
    const draw = zipf(scale, alpha, randomOf(seed + 1));
    return of(`Zipf ${alpha.toFixed(1)}`, scale, scale * 5, draw);
  };
  const draw = zipf(scale, 1.0, randomOf(seed + 2));
  let scanned = scale;
  // A crawler comes by: of every 40,000 requests 10,000 ask once each for what nobody else wants.
  const scan = of("Zipf 1.0 and scans", scale * 3, scale * 5, (index) =>
    index % 40_000 < 10_000 ? scanned++ : draw(),
  );
  const loopObjects = Math.floor(scale / 5);
  const loop = of("loop", loopObjects, scale * 2, (index) => index % loopObjects);
  // Every 50,000 requests another 200 objects, never asked for before, take half of all requests.
  const flash = of("flash crowds", scale + 200 * Math.ceil((scale * 5) / 50_000), scale * 5, (index, random) =>
    random() < 0.5 ? draw() : scale + 200 * Math.floor(index / 50_000) + Math.floor(random() ** 2 * 200),
  );
  return [zipfTrace(0.6), zipfTrace(0.8), zipfTrace(1.0), zipfTrace(1.2), scan, loop, flash];
}

/** What all objects that are asked for take together. */
export function footprintOf({ requests, sizes }: Trace): number {
  return [...new Set(requests)].reduce((sum, number) => sum + sizes[number]!, 0);
}
