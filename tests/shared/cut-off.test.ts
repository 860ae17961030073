/** A node whose link to the engine is cut, in a network namespace of its own: it says so, goes on, and serves nothing purged once it is back. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { get } from "../caching/support.ts";
import { RedisServer } from "../support/redis.ts";
import { eventually } from "../support/within.ts";
import { alone, degraded, joined, purgeEverywhere, purgeNodes, sharedStatus, startNode, written } from "./nodes.ts";

setDefaultTimeout(150_000);

function run(...command: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(command);
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
}

/** A network namespace with two links to this one: one for clients and the origin, one for the engine. */
class Namespace implements Disposable {
  readonly name = `wp${process.pid % 100_000}x${Math.floor(Math.random() * 1000)}`;
  /** 10.N.M.x, not likely to be anybody's. */
  readonly #net = `10.${200 + Math.floor(Math.random() * 50)}.${Math.floor(Math.random() * 250)}`;

  constructor() {
    try {
      run("ip", "netns", "add", this.name);
      run("ip", "-n", this.name, "link", "set", "lo", "up");
      for (const link of [1, 2]) {
        run("ip", "link", "add", `${this.name}${link}`, "type", "veth", "peer", "name", `e${link}`, "netns", this.name);
        run("ip", "addr", "add", `${this.here(link)}/30`, "dev", `${this.name}${link}`);
        run("ip", "link", "set", `${this.name}${link}`, "up");
        run("ip", "-n", this.name, "addr", "add", `${this.there(link)}/30`, "dev", `e${link}`);
        run("ip", "-n", this.name, "link", "set", `e${link}`, "up");
      }
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** This end of a link. */
  here(link: number): string {
    return `${this.#net}.${4 * link + 1}`;
  }

  there(link: number): string {
    return `${this.#net}.${4 * link + 2}`;
  }

  /** What is sent over the second link is lost. */
  setEngineLink(state: "up" | "down"): void {
    run("ip", "-n", this.name, "link", "set", "e2", state);
  }

  [Symbol.dispose](): void {
    Bun.spawnSync(["ip", "netns", "del", this.name]); // and its links
  }
}

const IS_POSSIBLE = (() => {
  try {
    using _ = new Namespace();
    return true;
  } catch {
    return false;
  }
})();

test.skipIf(!IS_POSSIBLE)(
  "a node cut off during a purge says so, and once it is back not even its first request gets what was purged",
  async () => {
    using namespace = new Namespace();
    let version = 1;
    const server = createServer((_, response) => {
      response.writeHead(200, { "Cache-Control": "max-age=600" });
      response.end(`v${version}`);
    });
    await using stack = new AsyncDisposableStack();
    stack.defer(() => void server.close());
    stack.defer(() => server.closeAllConnections());
    const { promise, resolve } = Promise.withResolvers<void>();
    server.listen(0, namespace.here(1), resolve);
    await promise;
    const origin = `http://${namespace.here(1)}:${(server.address() as AddressInfo).port}`;
    await using redis = await RedisServer.start([], { host: namespace.here(2) });
    await using a = await startNode(redis.url, { origin, args: ["--node", "a"] });
    const address = namespace.there(1);
    await using b = await startNode(redis.url, {
      origin,
      wrap: ["ip", "netns", "exec", namespace.name],
      args: ["--node", "b", "--host", address, "--admin-host", address],
    });
    for (const path of ["/x", "/y"]) {
      expect((await get(b.http, path)).body).toBe("v1");
      expect((await get(b.http, path)).body).toBe("v1");
    }
    await written(b, 2);
    expect((await purgeEverywhere(a, { url: "/none" })).nodes).toEqual({ applied: ["a", "b"], missing: [] });

    namespace.setEngineLink("down");
    version = 2;
    expect((await purgeNodes(a, { url: "/x" })).nodes).toEqual({ applied: ["a"], missing: ["b"] });
    await alone(b);
    expect(await degraded(b)).toEqual(["shared"]);
    expect((await get(a.http, "/x")).body).toBe("v2");
    expect((await get(b.http, "/y")).body).toBe("v1"); // it goes on with what it has
    expect((await get(b.http, "/new")).body).toBe("v2");

    namespace.setEngineLink("up");
    const upMs = performance.now();
    // Requests all the time: each that begins when the node says that it is back has to get what is there now.
    let isBack = false;
    const late: string[] = [];
    const asking = (async () => {
      while (late.length < 20) {
        const wasBack = isBack;
        const { body } = await get(b.http, "/x");
        if (wasBack) late.push(body);
      }
    })();
    await eventually(60_000, "B says that it has joined", async () => (await sharedStatus(b))?.state === "joined");
    isBack = true;
    const backMs = performance.now() - upMs;
    await asking;
    expect(late).toEqual(late.map(() => "v2"));
    await joined(b);
    expect((await get(b.http, "/y")).body).toBe("v1"); // was not purged
    await eventually(20_000, "B is no longer degraded", async () => (await degraded(b)).length === 0);
    console.log(`back ${Math.round(backMs)} ms after the link`);
  },
);
