import type { LogRecord } from "@proj/protocol";

/** What the main thread says to a thread. */
export type ToThread<Start> = { type: "start"; options: Start } | { type: "stop" };
/** What a thread says to the main thread. */
export type FromThread<Started> =
  | { type: "started"; result: Started }
  | { type: "failed"; message: string; code: string | undefined }
  | { type: "log"; record: LogRecord }
  | { type: "stopped" };

/** A thread could not start, or ended although nobody had asked it to. */
export class ThreadError extends Error {
  readonly code: string;

  constructor(message: string, code: string | undefined) {
    super(message);
    this.name = "ThreadError";
    this.code = code ?? "ERR_THREAD_DIED";
  }
}

/** One Worker and its life: started with options, watched, stopped in time. */
export class Thread<Start, Started> {
  readonly name: string;
  readonly #worker: Worker;
  readonly #log: (record: LogRecord) => void;
  readonly #started = Promise.withResolvers<Started>();
  readonly #stopped = Promise.withResolvers<void>();
  readonly #died = Promise.withResolvers<Error>();
  #stopping = false;

  constructor(name: string, entry: URL, options: Start, log: (record: LogRecord) => void) {
    this.name = name;
    this.#log = log;
    this.#worker = new Worker(entry, { name });
    this.#worker.addEventListener("message", ({ data }: MessageEvent<FromThread<Started>>) => this.#hear(data));
    this.#worker.addEventListener("error", (event) =>
      this.#die(new ThreadError(`Thread ${name} failed: ${event.message}`, undefined)),
    );
    // An unhandled rejection closes a Worker with code 0: every end that was not asked for is a failure.
    this.#worker.addEventListener("close", () => {
      this.#stopped.resolve();
      if (!this.#stopping) this.#die(new ThreadError(`Thread ${name} ended unexpectedly`, undefined));
    });
    this.#started.promise.catch(() => {});
    this.#say({ type: "start", options });
  }

  /** What the thread's start gave; rejects with {@link ThreadError} when it could not start. */
  get started(): Promise<Started> {
    return this.#started.promise;
  }

  /** Resolves, once, when the thread ends without having been asked to. */
  get died(): Promise<Error> {
    return this.#died.promise;
  }

  /** Asks the thread to finish what is open; when it has not by then, it is ended. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    this.#say({ type: "stop" });
    const timer = Promise.withResolvers<void>();
    const timeout = setTimeout(timer.resolve, graceMs);
    await Promise.race([this.#stopped.promise, timer.promise]);
    clearTimeout(timeout);
    this.#worker.terminate();
  }

  #say(message: ToThread<Start>): void {
    this.#worker.postMessage(message);
  }

  #hear(message: FromThread<Started>): void {
    switch (message.type) {
      case "started":
        return this.#started.resolve(message.result);
      case "failed":
        return this.#started.reject(new ThreadError(message.message, message.code));
      case "log":
        return this.#log(message.record);
      case "stopped":
        return this.#stopped.resolve();
    }
  }

  #die(error: Error): void {
    this.#started.reject(error);
    this.#died.resolve(error);
  }
}

/** A thread's own side: runs `start` when told to, and what it returned when told to stop. */
export function runThread<Start, Started>(
  start: (options: Start, log: (record: LogRecord) => void) => Promise<{ result: Started; stop(): Promise<void> }>,
): void {
  const scope = globalThis as unknown as { onmessage: ((event: MessageEvent<ToThread<Start>>) => void) | null };
  const say = (message: FromThread<Started>) => postMessage(message);
  let stop: (() => Promise<void>) | undefined;
  scope.onmessage = async ({ data }) => {
    if (data.type === "stop") {
      await stop?.();
      say({ type: "stopped" });
      return;
    }
    try {
      const running = await start(data.options, (record) => say({ type: "log", record }));
      stop = running.stop;
      say({ type: "started", result: running.result });
    } catch (error) {
      const { message, code } = error as NodeJS.ErrnoException;
      say({ type: "failed", message, code });
    }
  };
}

/**
 * The file of a Worker's entry: beside the caller's source as `NAME.ts`, and in a packed bundle, where all files are one level deep, as `NAME.js`.
 *
 * @param importMetaUrl The caller's `import.meta.url`.
 */
export function threadEntry(importMetaUrl: string, name: string): URL {
  return new URL(importMetaUrl.endsWith(".ts") ? `./${name}.ts` : `./${name}.js`, importMetaUrl);
}
