import { ownThreadId, type SharedMemory } from "@proj/ipc";
import { beat, HEARTBEAT_MS, threadIdWord } from "@proj/protocol";

/** A thread's sign of life in its process's control block, until it is stopped. */
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
  const timer = setInterval(() => beat(words, thread), HEARTBEAT_MS);
  return {
    stop() {
      clearInterval(timer);
    },
  };
}
