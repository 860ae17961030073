import { loadLibrary, requestSlice } from "@proj/ipc";
import type { LogRecord } from "@proj/protocol";

/**
 * A thread wakes for what a few sockets have brought, a fraction of a millisecond's work, and clients wait for it: it should not wait for somebody else's turn of
 * several milliseconds. Nor should it break into the turn of who brings it work, one piece at a time. docs/performance.md has what that changes.
 */
const SLICE_US = 400;

/** What the main thread says to a thread. */
export type ToThread<Start, Question = never> =
  | { type: "start"; options: Start }
  | { type: "ask"; id: number; question: Question }
  | { type: "stop" };
/** What a thread says to the main thread. */
export type FromThread<Started, Answer = never> =
  | { type: "started"; result: Started }
  | { type: "answer"; id: number; answer: Answer }
  | { type: "no-answer"; id: number; message: string; code: string | undefined }
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

/** One Worker and its life: loaded from the moment that it is made, started with options, asked, watched, stopped in time. */
export class Thread<Start, Started, Question = never, Answer = never> {
  readonly name: string;
  readonly #worker: Worker;
  #log: (record: LogRecord) => void = () => {};
  readonly #started = Promise.withResolvers<Started>();
  readonly #stopped = Promise.withResolvers<void>();
  readonly #died = Promise.withResolvers<Error>();
  readonly #questions = new Map<number, PromiseWithResolvers<Answer>>();
  #nextQuestion = 1;
  #stopping = false;

  constructor(name: string, entry: URL) {
    this.name = name;
    this.#worker = new Worker(entry, { name });
    this.#worker.addEventListener("message", ({ data }: MessageEvent<FromThread<Started, Answer>>) => this.#hear(data));
    this.#worker.addEventListener("error", (event) =>
      this.#die(new ThreadError(`Thread ${name} failed: ${event.message}`, undefined)),
    );
    // An unhandled rejection closes a Worker with code 0: every end that was not asked for is a failure.
    this.#worker.addEventListener("close", () => {
      this.#stopped.resolve();
      this.#leaveUnanswered();
      if (!this.#stopping) this.#die(new ThreadError(`Thread ${name} ended unexpectedly`, undefined));
    });
    this.#started.promise.catch(() => {});
  }

  /**
   * What the thread's start gave.
   *
   * @param log Told what the thread logs.
   * @throws {ThreadError} It could not start.
   */
  start(options: Start, log: (record: LogRecord) => void): Promise<Started> {
    this.#log = log;
    this.#say({ type: "start", options });
    return this.#started.promise;
  }

  /** Resolves, once, when the thread ends without having been asked to. */
  get died(): Promise<Error> {
    return this.#died.promise;
  }

  /**
   * What the thread answers to a question.
   *
   * @throws {ThreadError} It could not answer, or has ended.
   */
  ask(question: Question): Promise<Answer> {
    const id = this.#nextQuestion++;
    const asked = Promise.withResolvers<Answer>();
    this.#questions.set(id, asked);
    this.#say({ type: "ask", id, question });
    return asked.promise;
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
    this.#leaveUnanswered();
  }

  #leaveUnanswered(): void {
    for (const asked of this.#questions.values())
      asked.reject(new ThreadError(`Thread ${this.name} has ended and answers nothing any more`, undefined));
    this.#questions.clear();
  }

  #say(message: ToThread<Start, Question>): void {
    this.#worker.postMessage(message);
  }

  #hear(message: FromThread<Started, Answer>): void {
    switch (message.type) {
      case "answer":
        this.#questions.get(message.id)?.resolve(message.answer);
        this.#questions.delete(message.id);
        return;
      case "no-answer":
        this.#questions.get(message.id)?.reject(new ThreadError(message.message, message.code));
        this.#questions.delete(message.id);
        return;
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

/** Threads whose code is loaded ahead of their start, so that this takes less; until then they do nothing. */
export class LoadedThreads<OneThread> {
  readonly #threads: OneThread[];

  /** @param make Of the thread with this number. */
  constructor(count: number, make: (thread: number) => OneThread) {
    this.#threads = Array.from({ length: count }, (_, thread) => make(thread));
  }

  /** They are the caller's from now on. */
  take(): OneThread[] {
    return this.#threads.splice(0);
  }
}

/** What a thread does once it has started. */
export interface RunningThread<Started, Question, Answer> {
  result: Started;
  /** Only for threads that are asked something; what it throws reaches who asked. */
  answer?(question: Question): Answer | Promise<Answer>;
  stop(): Promise<void>;
}

/** A thread's own side: runs `start` when told to, and what it returned when asked, and when told to stop. */
export function runThread<Start, Started, Question = never, Answer = never>(
  start: (options: Start, log: (record: LogRecord) => void) => Promise<RunningThread<Started, Question, Answer>>,
): void {
  loadLibrary(); // while nobody waits for it
  const scope = globalThis as unknown as {
    onmessage: ((event: MessageEvent<ToThread<Start, Question>>) => void) | null;
  };
  const say = (message: FromThread<Started, Answer>) => postMessage(message);
  let running: RunningThread<Started, Question, Answer> | undefined;
  scope.onmessage = async ({ data }) => {
    try {
      if (data.type === "stop") {
        await running?.stop();
        say({ type: "stopped" });
      } else if (data.type === "ask") {
        say(await answerTo(data.id, data.question, running));
      } else {
        requestSlice(SLICE_US, { preempts: false });
        running = await start(data.options, (record) => say({ type: "log", record }));
        say({ type: "started", result: running.result });
      }
    } catch (error) {
      if (data.type !== "start") throw error;
      const { message, code } = error as NodeJS.ErrnoException;
      say({ type: "failed", message, code });
    }
  };
}

async function answerTo<Started, Question, Answer>(
  id: number,
  question: Question,
  running: RunningThread<Started, Question, Answer> | undefined,
): Promise<FromThread<Started, Answer>> {
  if (running?.answer === undefined) {
    return { type: "no-answer", id, message: "This thread answers no questions", code: "ERR_THREAD_NOT_ASKED" };
  }
  try {
    return { type: "answer", id, answer: await running.answer(question) };
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    return { type: "no-answer", id, message, code };
  }
}

/**
 * The file of a Worker's entry: beside the caller's source as `NAME.ts`, and in a packed bundle, where all files are one level deep, as `NAME.js`.
 *
 * @param importMetaUrl The caller's `import.meta.url`.
 */
export function threadEntry(importMetaUrl: string, name: string): URL {
  return new URL(importMetaUrl.endsWith(".ts") ? `./${name}.ts` : `./${name}.js`, importMetaUrl);
}
