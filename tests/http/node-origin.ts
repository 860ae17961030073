import { join } from "node:path";
import { eventually } from "../support/within.ts";

export interface NodeRequest {
  method: string;
  target: string;
  /** Names and values in turn. */
  fields: string[];
  trailers: string[];
  /** latin1 */
  body: string;
}

/** An origin in a `node` process: what reached it, as llhttp read it. */
export class NodeOrigin implements AsyncDisposable {
  requests: NodeRequest[] = [];
  #port: number | undefined;
  readonly #child: Bun.Subprocess<"pipe", "pipe", "inherit">;

  private constructor() {
    this.#child = Bun.spawn(["node", "--max-http-header-size=131072", join(import.meta.dir, "node-origin.mjs")], {
      stdio: ["pipe", "pipe", "inherit"],
    });
  }

  static async start(): Promise<NodeOrigin> {
    const origin = new NodeOrigin();
    void origin.#listen();
    await eventually(20_000, "the node origin's port", () => origin.#port !== undefined);
    return origin;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill();
    await this.#child.exited;
  }

  async #listen(): Promise<void> {
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of this.#child.stdout) {
      text += decoder.decode(chunk, { stream: true });
      const lines = text.split("\n");
      text = lines.pop()!;
      for (const line of lines) {
        const said = JSON.parse(line) as NodeRequest & { port?: number };
        if (said.port !== undefined) this.#port = said.port;
        else this.requests.push(said);
      }
    }
  }
}
