import type { ReadableStreamDefaultReader } from "node:stream/web";
import type { Subprocess } from "bun";

/** What is still in the pipes of a process that has ended is read within this time. */
const REST_MS = 1_000;

/** A process that has ended, and what it wrote. */
export interface ChildOutput {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Resolves when the process has ended. What it has started may hold its pipes for longer, for ever even: their end is not waited for, and nobody reads them any more.
 */
export async function outputOf(child: Subprocess<"ignore", "pipe", "pipe">): Promise<ChildOutput> {
  const [stdout, stderr] = [new Gathered(child.stdout), new Gathered(child.stderr)];
  const exitCode = await child.exited;
  const over = Promise.withResolvers<void>();
  const timer = setTimeout(over.resolve, REST_MS);
  await Promise.race([over.promise, Promise.all([stdout.ended, stderr.ended])]);
  clearTimeout(timer);
  return { exitCode, stdout: await stdout.take(), stderr: await stderr.take() };
}

/** What has come through a pipe so far. */
class Gathered {
  /** Resolves when nobody can write to it any more. */
  readonly ended: Promise<void>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #chunks: Uint8Array[] = [];

  constructor(from: ReadableStream<Uint8Array>) {
    this.#reader = from.getReader();
    this.ended = this.#gather();
  }

  /** Reads no more from here on. */
  async take(): Promise<string> {
    await this.#reader.cancel();
    return Buffer.concat(this.#chunks).toString("utf8");
  }

  async #gather(): Promise<void> {
    for (;;) {
      const { done, value } = await this.#reader.read();
      if (done) return;
      this.#chunks.push(value);
    }
  }
}
