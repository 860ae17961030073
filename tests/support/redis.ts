import { writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { TempDirectory } from "./temp-directory.ts";
import { eventually } from "./within.ts";

const READY_MS = 30_000;

/** A port that was free a moment ago, with room for the cluster's bus 10,000 above it. */
export async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer();
    const { promise, resolve } = Promise.withResolvers<void>();
    server.listen(0, "127.0.0.1", resolve);
    await promise;
    const { port } = server.address() as AddressInfo;
    const closed = Promise.withResolvers<void>();
    server.close(() => closed.resolve());
    await closed.promise;
    if (port < 55_000) return port;
  }
}

/** A `redis-server` of the test's own, on a free port of the loopback; nothing of it stays. */
export class RedisServer implements AsyncDisposable {
  readonly port: number;
  readonly #directory: TempDirectory;
  readonly #wrap: readonly string[];
  readonly #host: string;
  readonly #password: string | undefined;
  readonly #args: readonly string[];
  #child: Bun.Subprocess | undefined;

  private constructor(port: number, args: readonly string[], options: RedisOptions) {
    this.port = port;
    this.#args = args;
    this.#wrap = options.wrap ?? [];
    this.#host = options.host ?? "127.0.0.1";
    this.#password = options.password;
    this.#directory = new TempDirectory({ mode: 0o777 });
  }

  static async start(args: readonly string[] = [], options: RedisOptions = {}): Promise<RedisServer> {
    const server = new RedisServer(options.port ?? (await freePort()), args, options);
    await server.restart();
    return server;
  }

  get url(): string {
    return `redis://${this.#host}:${this.port}`;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Starts it again on its port, with what it has on disk: nothing, unless told to save. */
  async restart(): Promise<void> {
    const directory = this.#directory.path;
    this.#child = Bun.spawn(
      [
        ...this.#wrap,
        ...["redis-server", "--port", String(this.port), "--bind", this.#host, "--protected-mode", "no"],
        ...["--save", "", "--appendonly", "no", "--daemonize", "no", "--dir", directory, "--loglevel", "warning"],
        ...["--repl-diskless-sync-delay", "0"],
        ...this.#args,
      ],
      { stdio: ["ignore", "ignore", "inherit"], cwd: directory },
    );
    await eventually(READY_MS, "redis-server answers", async () => (await this.cli("ping")) === "PONG");
  }

  /** What `redis-cli` prints for a command. */
  async cli(...command: readonly string[]): Promise<string> {
    const cli = [...this.#wrap, "redis-cli", "-h", this.#host, "-p", String(this.port), ...command];
    return await outputOf(cli, this.#password);
  }

  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    this.#child?.kill(signal);
    if (signal === "SIGKILL" || signal === "SIGTERM") await this.#child?.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#child?.exited;
    this.#directory[Symbol.dispose]();
  }
}

export interface RedisOptions {
  readonly port?: number;
  readonly host?: string;
  /** What `redis-cli` says; the server is told by its arguments. */
  readonly password?: string;
  /** What stands before the program: `["ip", "netns", "exec", "NAME"]`. */
  readonly wrap?: readonly string[];
}

/** Three masters and three replicas. */
export class RedisCluster implements AsyncDisposable {
  readonly servers: RedisServer[] = [];

  static async start(): Promise<RedisCluster> {
    const cluster = new RedisCluster();
    try {
      for (let index = 0; index < 6; index++) {
        const args = [
          "--cluster-enabled",
          "yes",
          "--cluster-node-timeout",
          "2000",
          "--cluster-config-file",
          "nodes.conf",
        ];
        cluster.servers.push(await RedisServer.start(args));
      }
      const addresses = cluster.servers.map(({ port }) => `127.0.0.1:${port}`);
      const create = ["redis-cli", "--cluster", "create", ...addresses, "--cluster-replicas", "1", "--cluster-yes"];
      const made = Bun.spawn(create, { stdio: ["ignore", "pipe", "pipe"] });
      const output = await new Response(made.stdout).text();
      if ((await made.exited) !== 0) throw new Error(`Cannot make a cluster: ${output}`);
      for (const server of cluster.servers) {
        await eventually(READY_MS, "the cluster is whole", async () =>
          /cluster_state:ok/.test(await server.cli("cluster", "info")),
        );
        // A replica that has never had its master's data does not stand in for it.
        await eventually(READY_MS, "a replica has its master's data", async () =>
          /role:master|master_link_status:up/.test(await server.cli("info", "replication")),
        );
      }
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  get url(): string {
    return `redis://${this.servers.map(({ port }) => `127.0.0.1:${port}`).join(",")}`;
  }

  /** The servers that are masters now. */
  async masters(): Promise<RedisServer[]> {
    const roles = await Promise.all(this.servers.map((server) => server.cli("role")));
    return this.servers.filter((_, index) => roles[index]?.startsWith("master"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.servers.map((server) => server[Symbol.asyncDispose]()));
  }
}

/** A Sentinel that watches one master, without a password of its own. */
export class Sentinel implements AsyncDisposable {
  readonly port: number;
  readonly #directory: TempDirectory;
  readonly #child: Bun.Subprocess;

  private constructor(port: number, directory: TempDirectory, file: string) {
    this.port = port;
    this.#directory = directory;
    this.#child = Bun.spawn(["redis-server", file, "--sentinel"], { stdio: ["ignore", "ignore", "inherit"] });
  }

  /** @param password Of the master, and of its replicas. */
  static async start(master: RedisServer, password?: string): Promise<Sentinel> {
    const directory = new TempDirectory();
    const port = await freePort();
    const file = directory.file("sentinel.conf");
    const lines = [
      `port ${port}`,
      "bind 127.0.0.1",
      `dir ${directory.path}`,
      `sentinel monitor main 127.0.0.1 ${master.port} 1`,
      "sentinel down-after-milliseconds main 2000",
      "sentinel failover-timeout main 4000",
      ...(password === undefined ? [] : [`sentinel auth-pass main "${password}"`]),
    ];
    writeFileSync(file, `${lines.join("\n")}\n`);
    const sentinel = new Sentinel(port, directory, file);
    try {
      await eventually(READY_MS, "the Sentinel answers", async () => (await sentinel.cli("ping")) === "PONG");
    } catch (error) {
      await sentinel[Symbol.asyncDispose]();
      throw error;
    }
    return sentinel;
  }

  cli(...command: readonly string[]): Promise<string> {
    return outputOf(["redis-cli", "-p", String(this.port), ...command], undefined);
  }

  async masterPort(): Promise<number> {
    return Number((await this.cli("sentinel", "get-master-addr-by-name", "main")).split("\n")[1]);
  }

  /** Waits until it has found so many replicas that can be promoted, and no failover is going on: a master that is killed amid one is missed for minutes. */
  async knows(replicas: number): Promise<void> {
    await eventually(READY_MS, `the Sentinel knows ${replicas} replicas`, async () => {
      if (!/^flags\nmaster$/m.test(await this.cli("sentinel", "master", "main"))) return false;
      const text = await this.cli("sentinel", "replicas", "main");
      return (text.match(/^master-link-status\nok$/gm)?.length ?? 0) >= replicas;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
    this.#directory[Symbol.dispose]();
  }
}

async function outputOf(command: readonly string[], password: string | undefined): Promise<string> {
  const env = { ...process.env, ...(password !== undefined && { REDISCLI_AUTH: password }) };
  const child = Bun.spawn([...command], { stdio: ["ignore", "pipe", "ignore"], env });
  const text = await new Response(child.stdout).text();
  await child.exited;
  return text.trim();
}
