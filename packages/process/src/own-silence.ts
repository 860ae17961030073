import type { ThreadTimes } from "@proj/ipc";
import { HEARTBEAT_MS, LOOKS_PER_BEAT } from "@proj/protocol/process";
import type { ThreadFacts } from "./thread-facts.ts";

/** A thread is looked at that has not beaten for so many looks as an idle one leaves out at times. */
export const LOOK_AFTER_MS = LOOKS_PER_BEAT * HEARTBEAT_MS;

/**
 * Of the time in which a thread waits for a lock so much is at most taken off, for waits of those that may hold it: where a machine is that busy, one that waits for ever is
 * noticed four times as late, and not never.
 */
const LOCK_SHARE_MAX = 3 / 4;

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
  readonly ranBeforeMs: number;
  /** Of a wait for a processor that is not over, which the kernel has not counted yet. */
  readonly queuedMs: number;
  readonly diskMs: number;
  /** For how long it was seen to wait for a lock, and for how long threads of its process waited for a processor meanwhile, all together. */
  readonly lockMs: number;
  readonly othersMs: number;
  /** What they have waited in all; undefined while it waits for no lock. */
  readonly waitedOfAllMs: number | undefined;
}

/**
 * For how much of its silence a thread could have run: what it spent ready to run without getting a processor is the machine's fault, not its own. So is what it spent waiting for a thread that
 * got none: the engine's collector and compiler have threads of their own, which stop those that run programs, and which these stop.
 */
export class OwnSilence {
  readonly #facts: Omit<ThreadFacts, "isProcessStopped">;
  readonly #silent = new Map<number | "main", SilentThread>();

  constructor(facts: Omit<ThreadFacts, "isProcessStopped">) {
    this.#facts = facts;
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
    const times = this.#facts.timesOf(threadId);
    const ofAllMs = times.state === "lock" ? this.#facts.waitedOfAllMs() : undefined;
    const now = next(this.#silent.get(thread), { times, silentMs, waitedOfAllMs: ofAllMs });
    this.#silent.set(thread, now);
    const { waitedBeforeMs, ranBeforeMs, queuedMs, diskMs, lockMs, othersMs } = now;
    // Of a thread that has ended meanwhile the kernel says nothing any more: what it had waited before is not to be counted as its own.
    const waitedMs = Math.max(0, times.waitedMs - waitedBeforeMs);
    const ownMs = silentMs - waitedMs - queuedMs - Math.min(othersMs, lockMs * LOCK_SHARE_MAX);
    // A watcher that gets as little of the processor counts less silence than the thread has waited in; what the thread has run is its own all the same.
    const surelyMs = diskMs + Math.max(0, times.ranMs - ranBeforeMs);
    return { ownMs: Math.max(ownMs, surelyMs), diskMs, waitsForDisk: times.state === "disk" };
  }
}

function next(
  former: SilentThread | undefined,
  look: Pick<SilentThread, "times" | "silentMs" | "waitedOfAllMs">,
): SilentThread {
  const { times, silentMs, waitedOfAllMs } = look;
  const passedMs = silentMs - (former?.silentMs ?? 0);
  const waitedMs = Math.max(0, times.waitedMs - (former?.times.waitedMs ?? times.waitedMs));
  const othersMs = Math.max(0, (waitedOfAllMs ?? 0) - (former?.waitedOfAllMs ?? waitedOfAllMs ?? 0) - waitedMs);
  return {
    ...look,
    waitedBeforeMs: former?.waitedBeforeMs ?? times.waitedMs,
    ranBeforeMs: former?.ranBeforeMs ?? times.ranMs,
    queuedMs: former !== undefined && isQueued(former.times, times) ? former.queuedMs + passedMs : 0,
    diskMs: (former?.diskMs ?? 0) + (times.state === "disk" ? passedMs : 0),
    lockMs: (former?.lockMs ?? 0) + (times.state === "lock" ? Math.max(0, passedMs - waitedMs) : 0),
    othersMs: (former?.othersMs ?? 0) + othersMs,
  };
}

/** It is ready and has not had a processor since: one that computes has, and one that has had its turn is told how long it waited for it. */
function isQueued(before: ThreadTimes, { state, ranMs, waitedMs }: ThreadTimes): boolean {
  return state === "ready" && ranMs > 0 && ranMs === before.ranMs && waitedMs === before.waitedMs;
}
