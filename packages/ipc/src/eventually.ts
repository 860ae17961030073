import { after, assertTimeout } from "./deadline.ts";

/** Something that calls what is registered with it whenever there may be news; a {@link Doorbell} is one. */
export interface Waker {
  /**
   * Calls `look` on every wake-up until the returned function is called. `look` says whether it found something.
   *
   * @param onClose Called with the reason when there will be no more wake-ups.
   */
  watch(look: () => boolean, onClose?: (reason: Error) => void): () => void;
}

/** How to wait without blocking the event loop. */
export interface WaitOptions {
  /** Milliseconds after which to give up; without it, never. */
  readonly timeoutMs?: number | undefined;
  /** Gives up with the signal's reason as the error. */
  readonly signal?: AbortSignal | undefined;
  /** What the other side rings after its work is visible. Without one a timer looks every few milliseconds. */
  readonly doorbell?: Waker | undefined;
}

// Without a doorbell: often at first, because an answer is usually near, then seldom enough to cost nothing.
const POLL_MS_FIRST = 1;
const POLL_MS_LATER = 10;
const POLLS_FIRST = 50;

/**
 * What `attempt` returns as soon as that is not undefined; undefined when the time is over. The event loop runs meanwhile.
 *
 * @throws The signal's reason once it is aborted, and whatever `attempt` throws.
 */
export function eventually<T>(attempt: () => T | undefined, options: WaitOptions): Promise<T | undefined> {
  try {
    assertTimeout(options.timeoutMs);
    options.signal?.throwIfAborted();
    const outcome = attempt();
    if (outcome !== undefined || (options.timeoutMs ?? 1) <= 0) return Promise.resolve(outcome);
  } catch (error) {
    return Promise.reject(error);
  }
  return new Promise((resolve, reject) => {
    const cleanups: Array<() => void> = [];
    const settle = (finish: () => void): void => {
      for (const cleanup of cleanups) cleanup();
      finish();
    };
    const look = (): boolean => {
      try {
        const outcome = attempt();
        if (outcome !== undefined) settle(() => resolve(outcome));
        return outcome !== undefined;
      } catch (error) {
        fail(error);
        return true;
      }
    };
    const fail = (error: unknown): void => settle(() => reject(error));
    const { timeoutMs, signal, doorbell } = options;
    cleanups.push(doorbell === undefined ? pollWithTimer(look) : doorbell.watch(look, fail));
    if (timeoutMs !== undefined) cleanups.push(after(timeoutMs, () => settle(() => resolve(undefined))));
    if (signal !== undefined) {
      const abort = (): void => fail(signal.reason);
      signal.addEventListener("abort", abort, { once: true });
      cleanups.push(() => signal.removeEventListener("abort", abort));
    }
  });
}

function pollWithTimer(look: () => boolean): () => void {
  let polls = 0;
  let timer: ReturnType<typeof setTimeout>;
  const schedule = (): void => {
    timer = setTimeout(
      () => {
        polls += 1;
        if (!look()) schedule();
      },
      polls < POLLS_FIRST ? POLL_MS_FIRST : POLL_MS_LATER,
    );
  };
  schedule();
  return () => clearTimeout(timer);
}
