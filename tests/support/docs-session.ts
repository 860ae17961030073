import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { TempDirectory } from "./temp-directory.ts";
import { MAIN, ownChannel } from "./webproxy.ts";
import { eventually, within } from "./within.ts";

const READY_MS = 60_000;
const COMMAND_MS = 60_000;
const STOP_MS = 30_000;

/** A piece of code in a page of the documentation. */
export interface Block {
  language: string;
  text: string;
}

export function blocksOf(page: string): Block[] {
  return [...page.matchAll(/^```(\w*)\n([\s\S]*?)^```/gm)].map(([, language, text]) => ({
    language: language!,
    text: text!,
  }));
}

/** Commands of a block, one for each line; a backslash at the end of a line goes on with the next. */
export function commandsOf({ text }: Block): string[] {
  const lines = text.replaceAll("\\\n", " ").split("\n");
  return lines.map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("#"));
}

/** It serves until it is stopped. */
export function isServer(command: string): boolean {
  return /^npx webproxy(?: (?:start|proxy|cache))?(?: -.*)?(?: &)?$/.test(command.replace(/\s+#.*$/, ""));
}

/** It shows until it is stopped. */
function isLive(command: string): boolean {
  return /^npx webproxy (?:top|log .*-f)\b/.test(command);
}

/**
 * Somebody who reads a page and does what it says, one block after another, in a directory of their own. Only what would meet others who do the same is another:
 * ports, channel, store.
 */
export class DocsSession implements AsyncDisposable {
  readonly #directory = new TempDirectory();
  readonly #channel = ownChannel();
  readonly #env: Record<string, string>;
  readonly #ports: Record<string, number>;
  readonly #servers: Bun.Subprocess[] = [];

  private constructor(ports: Record<string, number>) {
    this.#ports = ports;
    const bin = this.#directory.file("bin");
    mkdirSync(bin);
    writeFileSync(
      join(bin, "npx"),
      `#!/bin/sh\n[ "$1" = webproxy ] || exit 99\nshift\nexec '${process.execPath}' '${MAIN}' "$@"\n`,
    );
    chmodSync(join(bin, "npx"), 0o755);
    this.#env = {
      ...(process.env as Record<string, string>),
      PATH: `${bin}:${process.env["PATH"]}`,
      WEBPROXY_HTTP_PORT: String(ports["8080"]),
      WEBPROXY_GETFILE_PORT: String(ports["19121"]),
      WEBPROXY_ADMIN_PORT: String(ports["8081"]),
      WEBPROXY_CHANNEL: this.#channel,
      WEBPROXY_CACHE_DIR: this.#directory.file("store"),
      WEBPROXY_THREADS: "2",
    };
  }

  static begin(): DocsSession {
    return new DocsSession({ "8080": freePort(), "19121": freePort(), "8081": freePort() });
  }

  /** Does what a block says: writes the file that it is, runs its commands, each of which has to end well. */
  async follow(block: Block): Promise<void> {
    const file = /^(?:\/\/|#) ([\w.-]+\.(?:ts|json))\n/.exec(block.text)?.[1];
    if (file !== undefined) writeFileSync(this.#directory.file(file), block.text);
    if (block.language !== "sh") return;
    const commands = commandsOf(block);
    if (commands.some(isServer)) await this.#stopServers();
    for (const command of commands) {
      if (isServer(command)) await this.#serve(this.#own(command.replace(/ &$/, "")));
      else await this.#run(this.#own(command), isLive(command));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#stopServers();
    } finally {
      this.#directory[Symbol.dispose]();
    }
  }

  #own(command: string): string {
    const withPorts = command.replace(/:(8080|19121|8081)\b/g, (_, port: string) => `:${this.#ports[port]}`);
    return withPorts.replaceAll("--channel two", `--channel ${this.#channel}-two`);
  }

  async #serve(command: string): Promise<void> {
    const child = Bun.spawn(["bash", "-c", `exec ${command}`], {
      cwd: this.#directory.path,
      env: this.#env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#servers.push(child);
    const stderr = new Response(child.stderr).text();
    const said = { text: "" };
    void (async () => {
      const decoder = new TextDecoder();
      for await (const chunk of child.stdout) said.text += decoder.decode(chunk, { stream: true });
    })();
    const pid = await eventually(READY_MS, `${command} serves`, async () => {
      if (child.exitCode !== null) throw new Error(`${command} ended with ${child.exitCode}: ${await stderr}`);
      return /^webproxy (?:proxy |cache )?ready .*pid=(\d+)/m.exec(said.text)?.[1];
    });
    this.#env["PID"] = pid;
  }

  async #run(command: string, isUnending: boolean): Promise<void> {
    const timed = isUnending ? ["timeout", "3"] : [];
    const child = Bun.spawn([...timed, "bash", "-o", "pipefail", "-c", command], {
      cwd: this.#directory.path,
      env: this.#env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const output = Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    const exitCode = await within(COMMAND_MS, command, child.exited);
    if (exitCode === 0 || (isUnending && exitCode === 124)) return;
    throw new Error(`${command} ended with ${exitCode}: ${(await output).join("\n")}`);
  }

  async #stopServers(): Promise<void> {
    for (const child of this.#servers.splice(0).reverse()) {
      child.kill("SIGTERM");
      await within(STOP_MS, "the end of a server", child.exited);
    }
  }
}
