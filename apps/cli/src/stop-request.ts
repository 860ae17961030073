/** What asks a process to stop: a terminal's Ctrl-C, `kill`, a terminal that closes. */
const STOP_SIGNALS = ["SIGINT", "SIGTERM"] as const;

/** What SIGHUP does; undefined as long as nobody has said. */
let onHangup: (() => void) | undefined;
/** One has come that nobody could tell the meaning of. */
let hasHungUp = false;
let askToStop = () => {};

/**
 * From now on SIGHUP means this: `"stop"` as a terminal that closes does, or as with other servers that have something to read again. Which of them it is shows only once the command
 * line is read, and what is to be read again is there only later; one that has come before is done now.
 */
export function hangupMeans(action: (() => void) | "stop"): void {
  onHangup = action === "stop" ? askToStop : action;
  if (!hasHungUp) return;
  hasHungUp = false;
  onHangup();
}

/** What SIGUSR1 does; without any it is ignored. */
const onReopen = new Set<() => void>();

/** From now on SIGUSR1, by which who rotates logs says that their files have other names now, means this too. Returns how to take that back. */
export function reopenMeans(action: () => void): () => void {
  onReopen.add(action);
  return () => onReopen.delete(action);
}

/** A second signal within this time is the same wish: `bun run` and `npx` pass on the Ctrl-C that the terminal sends to all. */
const SAME_WISH_MS = 1000;

/** Whether, and how urgently, this process has been asked to stop. */
export interface StopRequest {
  /** Aborted once asked. */
  readonly asked: AbortSignal;
  /** Aborted when asked again, later than a second after the first time: whoever asks does not want to wait. */
  readonly insisted: AbortSignal;
}

/** Handles the stop signals of this process from now on, for as long as it lives: none of them ends it any more. SIGHUP waits until {@link hangupMeans} says what it means. */
export function listenForStop(now: () => number = () => performance.now()): StopRequest {
  const asked = new AbortController();
  const insisted = new AbortController();
  let askedAt: number | undefined;
  const onSignal = () => {
    askedAt ??= now();
    asked.abort();
    if (now() - askedAt > SAME_WISH_MS) insisted.abort();
  };
  for (const signal of STOP_SIGNALS) process.on(signal, onSignal);
  process.on("SIGUSR1", () => {
    for (const action of onReopen) action();
  });
  askToStop = onSignal;
  process.on("SIGHUP", () => {
    if (onHangup === undefined) hasHungUp = true;
    else onHangup();
  });
  return { asked: asked.signal, insisted: insisted.signal };
}

/** Resolves when the signal is aborted; at once when it is already. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
