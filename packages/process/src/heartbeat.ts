import { ownThreadId, type SharedMemory } from "@proj/ipc";
import { beat, HEARTBEAT_MS, threadIdWord } from "@proj/protocol/process";

/** Something that a thread does again and again, its sign of life above all, until it is stopped. */
export interface Heartbeat {
  stop(): void;
}

/**
 * Begins to say that the calling thread's event loop turns, every {@link HEARTBEAT_MS}: one that hangs, or whose process is stopped, falls silent, and whoever
 * looks sees it.
 *
 * @param control The control block, which outlives this.
 */
export function startHeartbeat(control: SharedMemory, thread: number | "main"): Heartbeat {
  const words = control.i32;
  if (thread !== "main") words[threadIdWord(thread)] = ownThreadId();
  beat(words, thread);
  return everyBeat(() => beat(words, thread));
}

/** What this thread does with each beat, or with some. */
const doings = new Set<{ readonly what: () => void; readonly each: number }>();
let timer: ReturnType<typeof setInterval> | undefined;
let beats = 0;

/**
 * Calls `what` every {@link HEARTBEAT_MS}, or with each `each`-th beat, until it is stopped. All that a thread does so often hangs on one timer: an idle
 * thread is woken once for all of it.
 */
export function everyBeat(what: () => void, each = 1): Heartbeat {
  const doing = { what, each };
  doings.add(doing);
  timer ??= setInterval(() => {
    beats++;
    for (const one of doings) if (beats % one.each === 0) one.what();
  }, HEARTBEAT_MS);
  return {
    stop() {
      doings.delete(doing);
      if (doings.size > 0) return;
      clearInterval(timer);
      timer = undefined;
    },
  };
}
