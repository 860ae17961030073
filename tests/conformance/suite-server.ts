import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { TempDirectory } from "../support/temp-directory.ts";
import { eventually } from "../support/within.ts";

/** Where the npm suite is installed. */
export const SUITE_DIRECTORY = dirname(createRequire(import.meta.url).resolve("http-cache-tests/package.json"));

/** The suite's own server, as the origin: a Node process on a free port. */
export class SuiteServer implements AsyncDisposable {
  readonly #child: Bun.Subprocess<"ignore", "pipe", "inherit">;
  readonly #directory = new TempDirectory();
  readonly #read: Promise<void>;
  #output = "";
  #url = "";

  private constructor() {
    this.#child = Bun.spawn(["node", join(SUITE_DIRECTORY, "server/server.mjs")], {
      stdio: ["ignore", "pipe", "inherit"],
      cwd: this.#directory.file("."),
      env: {
        ...process.env,
        npm_config_protocol: "http",
        npm_config_port: "0",
        npm_config_pidfile: this.#directory.file("pid"),
      },
    });
    this.#read = this.#readOutput();
  }

  static async start(): Promise<SuiteServer> {
    const server = new SuiteServer();
    const port = await eventually(
      10_000,
      "the suite's server listens",
      () => /Listening on \S+:(\d+)\//.exec(server.#output)?.[1],
    );
    server.#url = `http://127.0.0.1:${port}`;
    return server;
  }

  get url(): string {
    return this.#url;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
    await this.#read;
    this.#directory[Symbol.dispose]();
  }

  /** It talks a lot: read, or it stops at a full pipe. */
  async #readOutput(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.#child.stdout) {
      if (this.#url === "") this.#output += decoder.decode(chunk, { stream: true });
    }
  }
}
