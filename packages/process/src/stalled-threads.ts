import { HEARTBEAT_MS, SilenceWatch, threadIdWord } from "@proj/protocol/process";
import { OwnSilence, type SilenceParts } from "./own-silence.ts";
import type { ThreadFacts } from "./thread-facts.ts";

/** With the look that sees it, a thread that hangs is noticed within a quarter of a second. */
const STALLED_AFTER_MS = 4 * HEARTBEAT_MS;
/** Disks that have much to do have been seen to keep a thread for 0.2 s; one that keeps it for so long is not waited for. */
const STALLED_BY_DISK_AFTER_MS = 1_000;

/** Whether a thread hangs, or has very much to do, so that others do meanwhile what they can do in its place. To be wrong costs little: it is taken for well again with its next beat. */
export function isStalled({ ownMs, diskMs }: Omit<SilenceParts, "waitsForDisk">): boolean {
  return ownMs - diskMs >= STALLED_AFTER_MS || ownMs >= STALLED_BY_DISK_AFTER_MS;
}

/** Which threads have fallen silent, and which are heard again, since the last look. */
export interface StallNews {
  readonly fallen: readonly number[];
  readonly risen: readonly number[];
}

/** Which threads of one life of a process do nothing at the moment, although they could. */
export class StalledThreads {
  readonly #watch: SilenceWatch;
  readonly #own: OwnSilence;
  readonly #facts: ThreadFacts;
  readonly #stalled: boolean[];

  constructor(threads: number, facts: ThreadFacts) {
    this.#watch = new SilenceWatch(threads);
    this.#own = new OwnSilence(facts);
    this.#facts = facts;
    this.#stalled = Array.from({ length: threads }, () => false);
  }

  /**
   * Looks once more; to be called every {@link HEARTBEAT_MS}.
   *
   * @param words The process's control block.
   */
  look(words: Int32Array, nowMs: number): StallNews {
    this.#watch.look(words, nowMs);
    const fallen: number[] = [];
    const risen: number[] = [];
    for (let thread = 0; thread < this.#stalled.length; thread++) {
      const isOne = this.#isStalledNow(thread, words[threadIdWord(thread)]!);
      if (isOne !== this.#stalled[thread]) (isOne ? fallen : risen).push(thread);
      this.#stalled[thread] = isOne;
    }
    return { fallen, risen };
  }

  /** Whether any of them, or the main thread, has beaten between the last look and the one before: then the process lived at the time of that one. */
  get hasHeard(): boolean {
    return this.#watch.hasHeard;
  }

  get hasStalled(): boolean {
    return this.#stalled.includes(true);
  }

  isStalled(thread: number): boolean {
    return this.#stalled[thread] === true;
  }

  #isStalledNow(thread: number, threadId: number): boolean {
    const parts = this.#own.parts(thread, threadId, this.#watch.silentMs(thread));
    return parts !== undefined && (this.#facts.isProcessStopped() || isStalled(parts));
  }
}
