import { HEARTBEAT_MS } from "@proj/protocol";

/** A thread that has not beaten since the last look is looked at. */
export const LOOK_AFTER_MS = HEARTBEAT_MS;

/** For how much of its silence a thread could have run: what it spent ready to run without getting a processor is the machine's fault, not its own. */
export class OwnSilence {
  readonly #waitedMs: (threadId: number) => number;
  /** For each thread that is silent now: how long it had waited for a processor when it fell silent. */
  readonly #waitedBeforeMs = new Map<number | "main", number>();

  /** @param waitedMs For how long a thread, by the kernel's id, has waited for a processor in its life. */
  constructor(waitedMs: (threadId: number) => number) {
    this.#waitedMs = waitedMs;
  }

  /**
   * Its own part of `silentMs`; 0 below {@link LOOK_AFTER_MS}, when the kernel is not asked. To be called with each look.
   *
   * @param threadId The kernel's.
   */
  ms(thread: number | "main", threadId: number, silentMs: number): number {
    if (silentMs < LOOK_AFTER_MS) {
      this.#waitedBeforeMs.delete(thread);
      return 0;
    }
    const waitedMs = this.#waitedMs(threadId);
    const beforeMs = this.#waitedBeforeMs.get(thread) ?? waitedMs;
    this.#waitedBeforeMs.set(thread, beforeMs);
    return silentMs - (waitedMs - beforeMs);
  }
}
