import { join } from "node:path";
import type { Stream, StreamReading } from "./http1-stream.ts";

const ANSWER_TIMEOUT_MS = 20_000;

/** Node's own HTTP parser, llhttp, in a `node` process of its own: the second opinion on every message. */
export class Llhttp implements AsyncDisposable {
  private readonly child = Bun.spawn(["node", "--no-deprecation", join(import.meta.dir, "http1-llhttp-peer.mjs")], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  private readonly answers = this.child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  private held = "";

  /** What llhttp makes of each stream, in their order. One call at a time. */
  async read(streams: readonly Stream[]): Promise<StreamReading[]> {
    this.child.stdin.write(`${JSON.stringify(streams)}\n`);
    await this.child.stdin.flush();
    const watchdog = setTimeout(() => this.child.kill(), ANSWER_TIMEOUT_MS);
    try {
      return JSON.parse(await this.answerLine()) as StreamReading[];
    } finally {
      clearTimeout(watchdog);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill();
    await this.child.exited;
  }

  private async answerLine(): Promise<string> {
    const parts = [this.held];
    for (;;) {
      const lineEnd = parts.at(-1)!.indexOf("\n");
      if (lineEnd !== -1) {
        const part = parts.pop()!;
        this.held = part.slice(lineEnd + 1);
        return parts.join("") + part.slice(0, lineEnd);
      }
      const { value, done } = await this.answers.read();
      if (done) throw new Error(`Cannot read an answer from node (pid ${this.child.pid}): it has ended`);
      parts.push(value);
    }
  }
}
