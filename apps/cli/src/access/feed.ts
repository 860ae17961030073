import { objectName, SharedMemoryCopy } from "@proj/ipc";
import { everyBeat, type Heartbeat } from "@proj/process";
import { AccessReader, type AccessRecord, channelNames } from "@proj/protocol";

/** How often a feed looks for records: each 100 ms when only samples of hot hits are wanted, and when all are. A ring holds what comes in some 100 ms. */
const BEATS_PER_POLL = 2;
const POLL_ALL_MS = 20;
/** For so long a wish for all records holds, and so often it is renewed meanwhile. */
const WISH_MS = 3000;
const RENEW_MS = 500;

export interface FeedOptions {
  channel: string;
  /** Every hot hit is wanted, not a sample. */
  wantsAll: boolean;
  /** Where to begin: with what the rings still hold, or with what comes from now on. */
  from: "oldest" | "now";
  /** The records that have come since the last call, those of each thread in the order in which they ended. */
  onRecords: (records: readonly TakenRecord[]) => void;
  /** So many records were overwritten before they were read. */
  onLost?: (count: number) => void;
}

export interface TakenRecord extends AccessRecord {
  thread: number;
}

/** Follows the access records of a channel, whichever proxy process writes them, now or later. Whatever is done to the rings, whoever follows them lives on. */
export class AccessFeed {
  readonly #options: FeedOptions;
  #memory: SharedMemoryCopy | undefined;
  #reader: AccessReader | undefined;
  #from: "oldest" | "now";
  #wishedAtMs = Number.NEGATIVE_INFINITY;
  #polls: Heartbeat | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(options: FeedOptions) {
    this.#options = options;
    this.#from = options.from;
  }

  /** Whether there are rings to read: a proxy runs, or one has died and nobody has cleaned up after it. */
  get isAttached(): boolean {
    return this.#reader !== undefined;
  }

  start(): void {
    this.poll();
    if (!this.#options.wantsAll) this.#polls = everyBeat(() => this.poll(), BEATS_PER_POLL);
    else this.#timer = setInterval(() => this.poll(), POLL_ALL_MS);
  }

  /** Reads what is there for the last time, and lets go. */
  stop(): void {
    this.#polls?.stop();
    clearInterval(this.#timer);
    this.#drain();
    this.#letGo();
  }

  poll(): void {
    const { channel, wantsAll } = this.#options;
    // A proxy that was started again has made its rings anew, or those its own. Looked for each time: one that dies soon leaves its records to nobody else.
    if (this.#memory?.isUnlinked !== false || this.#reader?.isOfSameLife !== true)
      this.#follow(openRings(channel, wantsAll));
    // Whoever comes later is followed from its first request on.
    this.#from = "oldest";
    if (wantsAll) this.#wish();
    this.#drain();
  }

  #wish(): void {
    const nowMs = performance.now();
    if (this.#reader === undefined || nowMs - this.#wishedAtMs <= RENEW_MS) return;
    this.#wishedAtMs = nowMs;
    if (!this.#reader.wantAll(Date.now() + WISH_MS)) this.#letGo();
  }

  /** @param memory The rings that are there now. */
  #follow(memory: SharedMemoryCopy | undefined): void {
    const reader = memory === undefined ? undefined : AccessReader.over(memory, this.#from);
    if (memory === undefined || reader === undefined || reader.life === this.#reader?.life) {
      memory?.close();
    } else {
      this.#drain(); // what the former life did last
      this.#memory?.close();
      this.#memory = memory;
      this.#reader = reader;
      this.#wishedAtMs = Number.NEGATIVE_INFINITY;
    }
  }

  #letGo(): void {
    this.#memory?.close();
    this.#memory = undefined;
    this.#reader = undefined;
  }

  #drain(): void {
    if (this.#reader === undefined) return;
    const records: TakenRecord[] = [];
    const lost = this.#reader.read((record, thread) => records.push({ ...record, thread }));
    if (records.length > 0) this.#options.onRecords(records);
    if (lost === "cut") this.#letGo();
    else if (lost > 0) this.#options.onLost?.(lost);
  }
}

function openRings(channel: string, writable: boolean): SharedMemoryCopy | undefined {
  return SharedMemoryCopy.open(objectName(channelNames(channel).access), { writable });
}
