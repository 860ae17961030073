import { HISTOGRAM_SLOTS } from "./histogram.ts";
import { CONTROL_BLOCK_MAGIC, LAYOUT_VERSION } from "./layout-version.ts";
import { bumpStripe, STRIPES } from "./stripes.ts";
import { PAGE_BYTES } from "./thread-page.ts";

/**
 * The control block of one process: who lives, in which life, with what sizes; then one page for each thread. Made and unlinked by that
 * process; mapped by its peer (which takes the `sleeping` flag of a thread before it rings) and by the supervisor. Integers are little-endian.
 *
 *   offset  bytes  field
 *        0      4  magic          "WPXY"
 *        4      4  version        LAYOUT_VERSION
 *        8      4  life           another number for each life of the process, never 0
 *       12      4  pid
 *       16      8  startTime      field 22 of /proc/PID/stat, so that a reused pid is not taken for this process
 *       24      4  state          1 starting, 2 serving, 3 stopping
 *       28      4  threads
 *       32      4  segments       (proxy) in the pool
 *       36      4  segmentBytes   (proxy)
 *       40      4  httpPort       (proxy) 0 until it listens
 *       44      4  getfilePort    (proxy)
 *       48      8  startedAt      ms since the epoch, float64
 *       56      4  (and from 64)  which origins there are (origin-states.ts)
 *       60      4  beat           heartbeat of the main thread (heartbeat.ts)
 *    16384  16384  page of thread 0; more follow
 *      ...  16384  (cache) behind the last page: a version for each stripe of keys (stripes.ts)
 *      ...  16384  (cache) for each stripe, how often something may have begun to come into the store (stripes.ts)
 *
 * A thread's page:
 *
 *   offset  bytes  field
 *        0      4  sleeping       the doorbell's flag
 *        4      4  beat           its heartbeat (heartbeat.ts); 0 until it has begun
 *        8      8  roomWanted     (cache) bit T: proxy thread T waits for room in this shard's request queue
 *       16      4  threadId       as the kernel names it, so that what it does can be looked up in /proc
 *       64   2048  counters       float64 each, in the order of PROXY_COUNTERS or CACHE_COUNTERS
 *     2112         origins        what the thread has seen of them (origin-states.ts)
 *     4096    768  the first of PROXY_HISTOGRAMS or CACHE_HISTOGRAMS (histogram.ts); the others follow
 */
const FIELD = {
  magic: 0,
  version: 4,
  life: 8,
  pid: 12,
  startTime: 16,
  state: 24,
  threads: 28,
  segments: 32,
  segmentBytes: 36,
  httpPort: 40,
  getfilePort: 44,
  startedAt: 48,
  beat: 60,
} as const;
const PAGE = {
  bytes: PAGE_BYTES,
  sleeping: 0,
  beat: 4,
  roomWanted: 8,
  threadId: 16,
  counters: 64,
  histograms: 4096,
} as const;
const COUNTERS_MAX = 256;

/** `roomWanted` has one bit for each proxy thread. */
export const THREADS_MAX = 64;

export type ProcessState = "starting" | "serving" | "stopping";
const STATES: readonly (ProcessState | undefined)[] = [undefined, "starting", "serving", "stopping"];

export interface ControlBlock {
  life: number;
  pid: number;
  startTime: number;
  state: ProcessState;
  threads: number;
  segments: number;
  segmentBytes: number;
  httpPort: number;
  getfilePort: number;
  startedAt: number;
}

export function controlBlockBytes(threads: number): number {
  return PAGE.bytes * (1 + threads) + 2 * STRIPES * 4;
}

/** Where in a control block stands what whoever watches the process looks at again and again; the last part tells whether it has been cut short. */
export function watchedParts(threads: number): { readonly offset: number; readonly bytes: number }[] {
  const pages = Array.from({ length: 1 + threads }, (_, page) => ({ offset: page * PAGE.bytes, bytes: PAGE.counters }));
  return [...pages, { offset: controlBlockBytes(threads) - 4, bytes: 4 }];
}

/** The versions of the stripes, live; only the cache's are ever bumped. */
export function stripeVersions(buffer: ArrayBuffer, threads: number): Int32Array {
  return new Int32Array(buffer, PAGE.bytes * (1 + threads), STRIPES);
}

/** The stripes' arrivals, live; only the cache's are ever bumped. */
export function stripeArrivals(buffer: ArrayBuffer, threads: number): Int32Array {
  return new Int32Array(buffer, PAGE.bytes * (1 + threads) + STRIPES * 4, STRIPES);
}

/**
 * Readies the control block of a former life, in place, for another one of as many threads. Peers who still look at it find no stripe at a version that it has had before,
 * so that nothing which they keep is taken for good by what is counted from now on.
 */
export function clearControlBlock(buffer: ArrayBuffer, threads: number): void {
  new Uint8Array(buffer, 0, PAGE.bytes * (1 + threads)).fill(0);
  for (const words of [stripeVersions(buffer, threads), stripeArrivals(buffer, threads)])
    for (let stripe = 0; stripe < STRIPES; stripe++) bumpStripe(words, stripe);
}

/** Which life the block is of, as it says now; 0 while it is being made. */
export function lifeIn(words: Int32Array): number {
  return words[FIELD.life >> 2]! >>> 0;
}

/** Writes everything but the state, then the state: a reader that sees the state sees the rest. */
export function writeControlBlock(buffer: ArrayBuffer, block: ControlBlock): void {
  const view = new DataView(buffer);
  view.setUint32(FIELD.version, LAYOUT_VERSION, true);
  view.setUint32(FIELD.life, block.life, true);
  view.setUint32(FIELD.pid, block.pid, true);
  view.setBigUint64(FIELD.startTime, BigInt(block.startTime), true);
  view.setUint32(FIELD.threads, block.threads, true);
  view.setUint32(FIELD.segments, block.segments, true);
  view.setUint32(FIELD.segmentBytes, block.segmentBytes, true);
  view.setUint32(FIELD.httpPort, block.httpPort, true);
  view.setUint32(FIELD.getfilePort, block.getfilePort, true);
  view.setFloat64(FIELD.startedAt, block.startedAt, true);
  view.setUint32(FIELD.magic, CONTROL_BLOCK_MAGIC, true);
  Atomics.store(new Int32Array(buffer, FIELD.state, 1), 0, STATES.indexOf(block.state));
}

/**
 * Reads a peer's control block. `undefined` while its maker has not finished it; `"other-version"` when its layout is not ours;
 * `"malformed"` when a field can not be true for an object of this length.
 */
export function readControlBlock(buffer: ArrayBuffer): ControlBlock | "other-version" | "malformed" | undefined {
  if (buffer.byteLength < PAGE.bytes) return "malformed";
  // No Atomics: a supervisor maps this read-only, and Bun's optimised Atomics.load is an addition of zero, which writes. Loads are
  // ordered as they stand: the state was stored last, and is read first.
  const view = new DataView(buffer);
  const state = STATES[view.getUint32(FIELD.state, true)];
  const magic = view.getUint32(FIELD.magic, true);
  if (magic === 0 || state === undefined) return undefined;
  if (magic !== CONTROL_BLOCK_MAGIC) return "malformed";
  if (view.getUint32(FIELD.version, true) !== LAYOUT_VERSION) return "other-version";
  const threads = view.getUint32(FIELD.threads, true);
  if (threads < 1 || threads > THREADS_MAX || buffer.byteLength < controlBlockBytes(threads)) return "malformed";
  return {
    life: view.getUint32(FIELD.life, true),
    pid: view.getUint32(FIELD.pid, true),
    startTime: Number(view.getBigUint64(FIELD.startTime, true)),
    state,
    threads,
    segments: view.getUint32(FIELD.segments, true),
    segmentBytes: view.getUint32(FIELD.segmentBytes, true),
    httpPort: view.getUint32(FIELD.httpPort, true),
    getfilePort: view.getUint32(FIELD.getfilePort, true),
    startedAt: view.getFloat64(FIELD.startedAt, true),
  };
}

/** Changes the state alone: what peers look at before they begin to talk. */
export function writeProcessState(buffer: ArrayBuffer, state: ProcessState): void {
  Atomics.store(new Int32Array(buffer, FIELD.state, 1), 0, STATES.indexOf(state));
}

export function writePorts(buffer: ArrayBuffer, httpPort: number, getfilePort: number): void {
  const words = new Int32Array(buffer);
  Atomics.store(words, FIELD.httpPort >> 2, httpPort);
  Atomics.store(words, FIELD.getfilePort >> 2, getfilePort);
}

/** Byte offset of the doorbell flag of `thread`. */
export function sleepingOffset(thread: number): number {
  return PAGE.bytes * (1 + thread) + PAGE.sleeping;
}

/** The word of the heartbeat of `thread`, or of the main thread. */
export function beatWord(thread: number | "main"): number {
  return thread === "main" ? FIELD.beat >> 2 : (PAGE.bytes * (1 + thread) + PAGE.beat) >> 2;
}

/** The word that says which thread of the kernel's `thread` is. */
export function threadIdWord(thread: number): number {
  return (PAGE.bytes * (1 + thread) + PAGE.threadId) >> 2;
}

/** The counters of `thread`, live. */
export function threadCounters(buffer: ArrayBuffer, thread: number): Float64Array {
  return new Float64Array(buffer, PAGE.bytes * (1 + thread) + PAGE.counters, COUNTERS_MAX);
}

/** The histogram number `index` of `thread`, live. */
export function threadHistogram(buffer: ArrayBuffer, thread: number, index: number): Float64Array {
  const at = PAGE.bytes * (1 + thread) + PAGE.histograms + index * HISTOGRAM_SLOTS * 8;
  return new Float64Array(buffer, at, HISTOGRAM_SLOTS);
}

/** The proxy thread `thread` says that it waits for room in the request queue of `shard`, whose page this is. */
export function wantRoom(words: Int32Array, shard: number, thread: number): void {
  Atomics.or(words, roomWantedWord(shard) + (thread >> 5), 1 << (thread & 31));
}

/** Takes the wishes for room in the request queue of `shard`: the proxy threads that are to be rung. */
export function takeRoomWanted(words: Int32Array, shard: number): readonly number[] {
  const first = roomWantedWord(shard);
  if (words[first] === 0 && words[first + 1] === 0) return NOBODY;
  const threads: number[] = [];
  for (const half of [0, 1]) {
    const bits = Atomics.exchange(words, first + half, 0);
    for (let bit = 0; bit < 32; bit++) if ((bits >>> bit) & 1) threads.push(half * 32 + bit);
  }
  return threads;
}

const NOBODY: readonly number[] = [];

function roomWantedWord(shard: number): number {
  return (PAGE.bytes * (1 + shard) + PAGE.roomWanted) >> 2;
}
