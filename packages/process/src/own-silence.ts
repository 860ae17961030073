import { processorWaitMs } from "@proj/ipc";
import { HEARTBEAT_MS } from "@proj/protocol";

/** A thread that is silent for so long is looked at: three beats have not come. */
export const LOOK_AFTER_MS = 3 * HEARTBEAT_MS;

/** For how much of its silence a thread could have run: what it spent ready to run without getting a processor is the machine's fault, not its own. */
export class OwnSilence {
  readonly #pid: number;
  /** For each thread that is silent now: how long it had waited for a processor when it fell silent. */
  readonly #waitedBeforeMs = new Map<number | "main", number>();

  constructor(pid: number) {
    this.#pid = pid;
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
    const waitedMs = processorWaitMs(this.#pid, threadId);
    const beforeMs = this.#waitedBeforeMs.get(thread) ?? waitedMs;
    this.#waitedBeforeMs.set(thread, beforeMs);
    return silentMs - (waitedMs - beforeMs);
  }
}
