import type { ThreadTimes } from "@proj/ipc";
import { HEARTBEAT_MS } from "@proj/protocol/process";

/** A thread that has not beaten since the last look is looked at. */
export const LOOK_AFTER_MS = HEARTBEAT_MS;

/** What a silence is made of, less what the machine is to blame for. */
export interface SilenceParts {
  /** For how much of it the thread had a processor, or wanted none. */
  readonly ownMs: number;
  /** For how much of that it was seen to wait for a disk. */
  readonly diskMs: number;
  /** Whether it does so at the moment. */
  readonly waitsForDisk: boolean;
}

/** What is known of a thread since it fell silent. */
interface SilentThread {
  readonly times: ThreadTimes;
  readonly silentMs: number;
  readonly waitedBeforeMs: number;
  /** Of a wait for a processor that is not over, which the kernel has not counted yet. */
  readonly queuedMs: number;
  readonly diskMs: number;
}

/** For how much of its silence a thread could have run: what it spent ready to run without getting a processor is the machine's fault, not its own. */
export class OwnSilence {
  readonly #timesOf: (threadId: number) => ThreadTimes;
  readonly #silent = new Map<number | "main", SilentThread>();

  /** @param timesOf What the kernel says of a thread, by its id; see `threadTimes` of `@proj/ipc`. */
  constructor(timesOf: (threadId: number) => ThreadTimes) {
    this.#timesOf = timesOf;
  }

  /**
   * The parts of a silence of `silentMs`; undefined below {@link LOOK_AFTER_MS}, when the kernel is not asked. To be called with each look.
   *
   * @param threadId The kernel's.
   */
  parts(thread: number | "main", threadId: number, silentMs: number): SilenceParts | undefined {
    if (silentMs < LOOK_AFTER_MS) {
      this.#silent.delete(thread);
      return undefined;
    }
    const now = next(this.#silent.get(thread), this.#timesOf(threadId), silentMs);
    this.#silent.set(thread, now);
    const { times, waitedBeforeMs, queuedMs, diskMs } = now;
    // Of a thread that has ended meanwhile the kernel says nothing any more: what it had waited before is not to be counted as its own.
    const waitedMs = Math.max(0, times.waitedMs - waitedBeforeMs);
    const ownMs = silentMs - waitedMs - queuedMs;
    return { ownMs, diskMs, waitsForDisk: times.state === "disk" };
  }
}

function next(former: SilentThread | undefined, times: ThreadTimes, silentMs: number): SilentThread {
  const passedMs = silentMs - (former?.silentMs ?? 0);
  return {
    times,
    silentMs,
    waitedBeforeMs: former?.waitedBeforeMs ?? times.waitedMs,
    queuedMs: former !== undefined && isQueued(former.times, times) ? former.queuedMs + passedMs : 0,
    diskMs: (former?.diskMs ?? 0) + (times.state === "disk" ? passedMs : 0),
  };
}

/** It is ready and has not had a processor since: one that computes has, and one that has had its turn is told how long it waited for it. */
function isQueued(before: ThreadTimes, { state, ranMs, waitedMs }: ThreadTimes): boolean {
  return state === "ready" && ranMs > 0 && ranMs === before.ranMs && waitedMs === before.waitedMs;
}
