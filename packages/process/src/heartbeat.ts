import { EventLoop, ownThreadId, type SharedMemory } from "@proj/ipc";
import { beat, HEARTBEAT_MS, LOOKS_PER_BEAT, threadIdWord } from "@proj/protocol/process";

/** Something that a thread does again and again, its sign of life above all, until it is stopped. */
export interface Heartbeat {
  stop(): void;
}

/**
 * Begins to say that the calling thread's event loop turns: one that hangs, or whose process is stopped, falls silent, and whoever looks sees it. It is said whenever the thread wakes and whenever
 * it is about to wait, so that it is silent for as long as it takes for a turn and no longer, and every {@link LOOKS_PER_BEAT} looks while it waits.
 *
 * @param control The control block, which outlives this.
 */
export function startHeartbeat(control: SharedMemory, thread: number | "main"): Heartbeat {
  const words = control.i32;
  const say = (): void => beat(words, thread);
  say();
  const beats = everyBeat(say, LOOKS_PER_BEAT);
  if (thread === "main") return beats;
  words[threadIdWord(thread)] = ownThreadId();
  const fallAsleep = (): boolean => {
    say();
    return true;
  };
  const leave = EventLoop.current().addSleeper({ fallAsleep, wakeUp: say });
  return {
    stop() {
      leave();
      beats.stop();
    },
  };
}

interface Doing {
  readonly what: () => void;
  readonly each: number;
  /** Looks until it is done again. */
  left: number;
}

/** What this thread does again and again. */
const doings = new Set<Doing>();
let timer: ReturnType<typeof setInterval> | undefined;
/** For so many looks the timer is set. */
let stride = 0;

/**
 * Calls `what` every {@link HEARTBEAT_MS}, or each `each`-th time, until it is stopped. All that a thread does so often hangs on one timer, as slow as the most frequent of it
 * allows: an idle thread is woken once for all of it.
 */
export function everyBeat(what: () => void, each = 1): Heartbeat {
  const doing = { what, each, left: each };
  doings.add(doing);
  setTimer();
  return {
    stop() {
      if (doings.delete(doing)) setTimer();
    },
  };
}

function setTimer(): void {
  const next = doings.size === 0 ? 0 : Math.min(...[...doings].map(({ each }) => each));
  if (next === stride) return;
  stride = next;
  clearInterval(timer);
  timer = next === 0 ? undefined : setInterval(doAll, next * HEARTBEAT_MS);
}

function doAll(): void {
  const passed = stride;
  for (const doing of doings) {
    doing.left -= passed;
    if (doing.left > 0) continue;
    doing.left += doing.each;
    doing.what();
  }
}
