import { isStopped, type ThreadTimes, threadTimes, waitedOfAllMs } from "@proj/ipc";

/** What the kernel says of a process and its threads; asked only when one of them is silent. */
export interface ThreadFacts {
  /** See `threadTimes` of `@proj/ipc`. */
  timesOf(threadId: number): ThreadTimes;
  /** See `waitedOfAllMs` of `@proj/ipc`. */
  waitedOfAllMs(): number;
  /** See `isStopped` of `@proj/ipc`. */
  isProcessStopped(): boolean;
}

export function threadFacts(pid: number): ThreadFacts {
  return {
    timesOf: (threadId) => threadTimes(pid, threadId),
    waitedOfAllMs: () => waitedOfAllMs(pid),
    isProcessStopped: () => isStopped(pid),
  };
}
