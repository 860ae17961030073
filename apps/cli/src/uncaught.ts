import type { LogRecord } from "@proj/protocol";
import { errorCode } from "./command-error.ts";
import { complain } from "./write-at-once.ts";

/** Longer than a supervisor's stop takes, which is the longest. */
const END_MS = 15_000;

type Say = (record: LogRecord) => void;

let say: Say = ({ message }) => complain(message);
let endInOrder: ((error: Error) => void) | undefined;
let isEnding = false;

/**
 * An error that nobody catches ends this process from now on, with exit code 1: Bun goes on after one while its main module waits, and nobody knows what has not been done then. It is said once;
 * those that follow while the process ends may come from that, without end.
 */
export function listenForUncaught(): void {
  process.on("uncaughtException", handle);
  process.on("unhandledRejection", handle);
}

/** From now on such an error is said in this log. Returns how to take that back. */
export function uncaughtIsSaidBy(log: Say): () => void {
  const former = say;
  say = log;
  return () => {
    say = former;
  };
}

/** Settles with such an error. Whoever has asked ends this process in order then, and has 15 s for that; otherwise it would end at once. */
export function uncaughtError(): Promise<Error> {
  const uncaught = Promise.withResolvers<Error>();
  endInOrder = uncaught.resolve;
  return uncaught.promise;
}

/** Of a process that would end with this one if no such error had come. */
export function exitCodeOf(code: number): number {
  return isEnding ? 1 : code;
}

function handle(thrown: unknown): void {
  if (isEnding) return;
  isEnding = true;
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  // Whoever read what a command prints has read enough (`| head`).
  if (endInOrder === undefined && errorCode(error) === "EPIPE") process.exit(1);
  try {
    say({
      level: "error",
      message: `an error that nobody caught ends this process: ${error.message}`,
      stack: error.stack,
    });
  } finally {
    if (endInOrder === undefined) process.exit(1);
    setTimeout(() => process.exit(1), END_MS);
    endInOrder(error);
  }
}
