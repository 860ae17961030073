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
  readonly #args: readonly string[];
  #child: Bun.Subprocess | undefined;

  private constructor(port: number, args: readonly string[], options: RedisOptions) {
    this.port = port;
    this.#args = args;
    this.#wrap = options.wrap ?? [];
    this.#host = options.host ?? "127.0.0.1";
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
    const child = Bun.spawn([...this.#wrap, "redis-cli", "-h", this.#host, "-p", String(this.port), ...command], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    const text = await new Response(child.stdout).text();
    await child.exited;
    return text.trim();
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
