import { PAGE_BYTES } from "./thread-page.ts";

/**
 * What a process has seen of its origins, in what its control block leaves free.
 *
 * Behind the control block's own fields:
 *
 *   offset  bytes  field
 *       56      4  nameBytes   of `names`
 *       60      4  (zero)
 *       64   4032  names       scheme, host and port of each origin, a line each, in the order given
 *
 * In a thread's page, behind its counters, for each origin:
 *
 *   offset  bytes  field
 *     2112      8  asked       float64, as are the others: exchanges sent to it
 *     2120      8  failures    of those, how many it failed before the head of a response
 *     2128      8  isResting   1 while this thread leaves it alone
 */
const NAMES = { bytesAt: 56, at: 64, bytesMax: 4032 } as const;
const STATE = { at: 2112, bytes: 24 } as const;

/** A page has room for more; beyond this a load balancer is the better place to know them. */
export const ORIGINS_MAX = 16;

export interface OriginCounts {
  readonly asked: number;
  readonly failures: number;
  readonly isResting: boolean;
}

/** One origin as all threads of a process have seen it. */
export interface OriginSeen {
  /** Scheme, host and port. */
  origin: string;
  asked: number;
  failures: number;
  /** How many of the threads leave it alone. */
  restingThreads: number;
}

/** Writes which origins there are: before the control block says that its process lives. */
export function writeOriginNames(buffer: ArrayBuffer, names: readonly string[]): void {
  const bytes = new TextEncoder().encode(names.slice(0, ORIGINS_MAX).join("\n")).subarray(0, NAMES.bytesMax);
  new Uint8Array(buffer, NAMES.at, NAMES.bytesMax).set(bytes);
  new DataView(buffer).setUint32(NAMES.bytesAt, bytes.length, true);
}

/** Writes what `thread` has seen, in the order of the names. */
export function writeOriginCounts(buffer: ArrayBuffer, thread: number, origins: readonly OriginCounts[]): void {
  for (const [index, { asked, failures, isResting }] of origins.slice(0, ORIGINS_MAX).entries())
    stateOf(buffer, thread, index).set([asked, failures, isResting ? 1 : 0]);
}

/** What the threads of a process have seen, in sum. */
export function readOriginsSeen(buffer: ArrayBuffer, threads: number): OriginSeen[] {
  return readNames(buffer).map((origin, index) => {
    const seen: OriginSeen = { origin, asked: 0, failures: 0, restingThreads: 0 };
    for (let thread = 0; thread < threads; thread++) {
      const [asked = 0, failures = 0, isResting = 0] = stateOf(buffer, thread, index);
      seen.asked += asked;
      seen.failures += failures;
      seen.restingThreads += isResting === 1 ? 1 : 0;
    }
    return seen;
  });
}

function readNames(buffer: ArrayBuffer): string[] {
  const bytes = new DataView(buffer).getUint32(NAMES.bytesAt, true);
  if (bytes === 0 || bytes > NAMES.bytesMax) return [];
  // A copy: what is decoded may not be memory that another process writes.
  const names = new TextDecoder().decode(new Uint8Array(buffer, NAMES.at, bytes).slice());
  return names.split("\n").slice(0, ORIGINS_MAX);
}

function stateOf(buffer: ArrayBuffer, thread: number, index: number): Float64Array {
  return new Float64Array(buffer, PAGE_BYTES * (1 + thread) + STATE.at + STATE.bytes * index, 3);
}
