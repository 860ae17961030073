import type { Purge, PurgeCount } from "@proj/cache";
import { SystemCallError } from "@proj/ipc";
import { addressText } from "./address-text.ts";
import { type ChildMessage, readSupervisorMessage } from "./child-message.ts";
import { cannotRun, messageOf } from "./command-error.ts";
import type { Log } from "./log.ts";
import { Logs } from "./logs.ts";
import { type OpenOrigin, openOrigin } from "./open-origin.ts";
import type { Options } from "./options.ts";
import { aborted, type StopRequest } from "./stop-request.ts";

export type SideName = "proxy" | "cache";

/** A process's work, once it serves. */
interface Serving {
  readonly httpPort?: number;
  readonly getfilePort?: number;
  readonly httpsPort?: number | undefined;
  /** Settles when it can not go on. */
  readonly failed: Promise<Error>;
  /** Only the cache has anything to purge. */
  purge?(purge: Purge): Promise<PurgeCount>;
  close(options: { graceMs: number }): Promise<void>;
}

/** Open requests may take this long once a stop is asked for: less than the supervisor waits before it kills. */
const GRACE_MS = 8_000;
/**
 * When a thread has died: what the others are sending may go out if it is small. The sooner this process ends, the sooner its successor serves, and until
 * then nobody answers the connections that the dead thread had taken.
 */
const FAILED_GRACE_MS = 100;
/** And this long when the supervisor is dead: its successor wants the ports and the channel. */
const ORPHAN_GRACE_MS = 1_000;

/**
 * Runs the proxy or the cache in this process until a stop is asked for, or its supervisor is gone.
 *
 * @returns The exit code.
 * @throws {CommandError} Exit code 1, when nobody supervises it: it could not run, or not go on.
 */
export async function runSide(
  side: SideName,
  options: Options,
  given: { stop: StopRequest; isSupervised: boolean },
): Promise<number> {
  const supervisor = given.isSupervised ? new SupervisorLink() : undefined;
  const stopped = AbortSignal.any([given.stop.asked, ...(supervisor === undefined ? [] : [supervisor.gone])]);
  using logs = new Logs(options, side);
  try {
    // A supervisor does that by itself: it still can when the proxy has died.
    if (side === "proxy" && supervisor === undefined) logs.logRequests();
    await serveUntil(stopped, side, options, logs.log, supervisor);
    return 0;
  } catch (error) {
    const message = `${messageOf(error)}${furtherAdvice(error)}`;
    if (supervisor === undefined) throw cannotRun(message, error);
    supervisor.send({ type: "failed", message });
    return 1;
  }
}

async function serveUntil(
  stopped: AbortSignal,
  side: SideName,
  options: Options,
  log: Log,
  supervisor: SupervisorLink | undefined,
): Promise<void> {
  const origin = await openOrigin(options.origin);
  try {
    if (stopped.aborted) return;
    const serving = await START[side](options, origin, log);
    let graceMs = GRACE_MS;
    try {
      if (stopped.aborted) return;
      supervisor?.obey(serving);
      announce(side, options, serving, supervisor);
      const failure = await Promise.race([aborted(stopped), serving.failed]);
      if (failure === undefined) return;
      graceMs = FAILED_GRACE_MS;
      throw failure;
    } finally {
      await serving.close({ graceMs: supervisor?.gone.aborted ? ORPHAN_GRACE_MS : graceMs });
    }
  } finally {
    await origin.stop();
  }
}

/** What this command's options can do about it, where the error itself only knows the kernel's. */
function furtherAdvice(error: unknown): string {
  const isQueueLimit = error instanceof SystemCallError && error.syscall === "mq_open" && error.code === "EMFILE";
  return isQueueLimit ? "; or give fewer --threads, of which each takes a queue in each process" : "";
}

const START: Record<SideName, (options: Options, origin: OpenOrigin, log: Log) => Promise<Serving>> = {
  proxy: async (options, origin, log) => (await import("./start-proxy.ts")).startProxySide(options, origin, log),
  cache: async (options, origin, log) => (await import("./start-cache.ts")).startCacheSide(options, origin, log),
};

function announce(
  side: SideName,
  options: Options,
  { httpPort, getfilePort, httpsPort }: Serving,
  supervisor: SupervisorLink | undefined,
): void {
  const ports = {
    ...(httpPort !== undefined && { httpPort }),
    ...(getfilePort !== undefined && { getfilePort }),
    ...(httpsPort !== undefined && { httpsPort }),
  };
  if (supervisor !== undefined) return supervisor.send({ type: "ready", ...ports });
  const http = httpPort === undefined ? "" : ` http=${addressText(options.host, httpPort)}`;
  const getfile = getfilePort === undefined ? "" : ` getfile=${addressText(options.host, getfilePort)}`;
  const https = httpsPort === undefined ? "" : ` https=${addressText(options.host, httpsPort)}`;
  process.stdout.write(
    `webproxy ${side} ready channel=${options.channel}${http}${getfile}${https} pid=${process.pid}\n`,
  );
}

/** The channel to the supervisor, whose end is the supervisor's. */
class SupervisorLink {
  readonly #gone = new AbortController();

  constructor() {
    if (process.connected !== true) this.#gone.abort();
    process.on("disconnect", () => this.#gone.abort());
  }

  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** Does what the supervisor says, and tells it what came of it. */
  obey(serving: Serving): void {
    process.on("message", (value: unknown) => {
      const message = readSupervisorMessage(value);
      if (message === undefined || serving.purge === undefined) return;
      const { id, purge } = message;
      serving.purge(purge).then(
        (count) => this.send({ type: "purged", id, outcome: count }),
        (error: unknown) => this.send({ type: "purged", id, outcome: { message: messageOf(error) } }),
      );
    });
  }

  send(message: ChildMessage): void {
    if (process.connected === true) process.send?.(message);
  }
}
