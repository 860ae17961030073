import { beatWord } from "./control-block.ts";

/** How often others look at the words that are threads' heartbeats. */
export const HEARTBEAT_MS = 50;
/** A thread adds one to its word whenever it wakes, and while nothing happens once in so many looks: its wake-ups are what an idle thread costs. */
export const LOOKS_PER_BEAT = 2;

/** Adds one to the heartbeat of `thread`; 0, which says that it has not begun, is left out. */
export function beat(words: Int32Array, thread: number | "main"): void {
  const word = beatWord(thread);
  words[word] = (words[word]! + 1) | 0 || 1;
}

/**
 * How long each thread of a process has been silent, as one who looks every {@link HEARTBEAT_MS} sees it.
 *
 * Only time in which the watcher itself ran counts: a look that comes late counts as an ordinary one. On a machine that stands still for a second, or gives
 * nobody a processor, the watcher has missed its turns as the watched have, and accuses nobody.
 */
export class SilenceWatch {
  readonly #words: readonly number[];
  readonly #seen: number[];
  readonly #silentMs: number[];
  #lookedMs: number | undefined;
  #hasHeard = false;

  constructor(threads: number) {
    this.#words = [beatWord("main"), ...Array.from({ length: threads }, (_, thread) => beatWord(thread))];
    this.#seen = this.#words.map(() => 0);
    this.#silentMs = this.#words.map(() => 0);
  }

  /** @param words The control block, or a copy of it. Plain loads: the watcher may have mapped it read-only. */
  look(words: Int32Array, nowMs: number): void {
    const passedMs = this.#lookedMs === undefined ? 0 : Math.min(nowMs - this.#lookedMs, HEARTBEAT_MS);
    const isFirst = this.#lookedMs === undefined;
    this.#lookedMs = nowMs;
    this.#hasHeard = false;
    for (const [index, word] of this.#words.entries()) {
      const beats = words[word]!;
      const hasBeaten = beats !== this.#seen[index] || beats === 0;
      if (beats !== this.#seen[index] && !isFirst) this.#hasHeard = true;
      this.#silentMs[index] = hasBeaten ? 0 : this.#silentMs[index]! + passedMs;
      this.#seen[index] = beats;
    }
  }

  /** Whether any thread has beaten between the last look and the one before: then the process lived at the time of that one. */
  get hasHeard(): boolean {
    return this.#hasHeard;
  }

  /** For how long `thread` has been silent; 0 for one that has not begun. */
  silentMs(thread: number | "main"): number {
    return this.#silentMs[thread === "main" ? 0 : thread + 1]!;
  }
}
