/** SIGHUP: another configuration holds without a failed request (CHECKLIST 65), and one that can not be used changes nothing. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { DecidingOrigin } from "../caching/origin.ts";
import { get } from "../caching/support.ts";
import { getfile } from "../support/getfile-client.ts";
import { TempDirectory } from "../support/temp-directory.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";
import { ConfigFile } from "./support.ts";

setDefaultTimeout(120_000);

const PATIENCE_MS = 60_000;
/** More of it for a longer look. */
const ROUNDS = process.env["WEBPROXY_TESTS"] === "whole" ? 40 : 8;

async function originNamed(name: string): Promise<DecidingOrigin> {
  return DecidingOrigin.start(({ target }) => ({
    headers: { "Cache-Control": target.includes("fresh") ? "max-age=600" : "no-store" },
    body: `${name} ${target}`,
  }));
}

/** Reads it again, and waits until it says that it has, or can not. */
async function reload(webproxy: Webproxy): Promise<string> {
  const before = webproxy.stderr.length;
  webproxy.kill("SIGHUP");
  const said = /[^\n]*(?:was read again|can not be used, and what held before)[^\n]*\n/;
  return eventually(
    PATIENCE_MS,
    "the configuration is read again",
    () => said.exec(webproxy.stderr.slice(before))?.[0],
  );
}

const ask = (webproxy: Webproxy, host: string, path: string) => get(webproxy.http, path, { headers: { Host: host } });

describe("SIGHUP", () => {
  test("sites, rules and limits hold from then on, for connections that are open too; what is stored stays", async () => {
    await using a = await originNamed("a");
    await using b = await originNamed("b");
    const one = { name: "one", hosts: "one.example", origin: a.url };
    using config = new ConfigFile({ sites: [one] });
    await using webproxy = await Webproxy.start({ args: ["--config", config.path] });
    expect((await ask(webproxy, "one.example", "/fresh")).body).toBe("a /fresh");
    expect((await ask(webproxy, "two.example", "/fresh")).status).toBe("421");

    const agent = new KeptConnection(webproxy.http.port);
    expect(await agent.get("two.example", "/fresh")).toStartWith("HTTP/1.1 421");
    config.write({
      sites: [one, { name: "two", hosts: "two.example", origin: b.url, rules: [{ path: "/by*", bypass: true }] }],
    });
    expect(await reload(webproxy)).toContain("2 sites, 1 rule");
    expect(await agent.get("two.example", "/fresh")).toEndWith("b /fresh");
    agent.close();
    expect((await ask(webproxy, "one.example", "/fresh")).cache).toStartWith("hit");
    expect((await ask(webproxy, "two.example", "/bypassed")).cache).toStartWith("fwd=bypass");
    expect((await webproxy.stats()).origins.map(({ origin }) => origin)).toEqual([a.url, b.url]);

    // Another origin for the same site: nothing that the former one said is sent any more.
    config.write({ sites: [{ ...one, origin: b.url }] });
    await reload(webproxy);
    for (let round = 0; round < 12; round++)
      expect((await ask(webproxy, "one.example", "/fresh")).body).toBe("b /fresh");
    expect((await ask(webproxy, "two.example", "/fresh")).status).toBe("421");

    config.write({ sites: [{ ...one, origin: b.url, rules: [{ path: "/fresh", bypass: true }] }] });
    await reload(webproxy);
    for (let round = 0; round < 12; round++)
      expect((await ask(webproxy, "one.example", "/fresh")).cache).toStartWith("fwd=bypass");
  });

  test("one that can not be used changes nothing, and the log says where the mistake is", async () => {
    await using a = await originNamed("a");
    using config = new ConfigFile({ sites: [{ name: "one", origin: a.url }] });
    await using webproxy = await Webproxy.start({ args: ["--config", config.path] });
    config.write({ sites: [{ name: "one", origin: a.url, rules: [{ path: "/x", tlt: 1 }] }] });
    const said = await reload(webproxy);
    expect(said).toContain("sites[0].rules[0].tlt");
    expect(said).toContain("did you mean ttl?");
    config.writeText("{");
    expect(await reload(webproxy)).toContain("it is no JSON");
    config.write({ sites: [{ name: "one", origin: "./there-is-no-such-directory" }] });
    expect(await reload(webproxy)).toContain("there-is-no-such-directory");
    expect((await ask(webproxy, "any.example", "/x")).body).toBe("a /x");
  });

  test("a config file whose program leaves one running that holds its output does not stand in the way of the next", async () => {
    using directory = new TempDirectory();
    const pids = directory.file("pids");
    const config = directory.file("webproxy.config.ts");
    const held = { stdio: ["ignore", "inherit", "inherit"] };
    const write = (rules: string) =>
      writeFileSync(
        config,
        `import { appendFileSync, existsSync } from "node:fs";
        if (existsSync(${JSON.stringify(pids)})) {
          const child = Bun.spawn(["sleep", "600"], ${JSON.stringify(held)});
          appendFileSync(${JSON.stringify(pids)}, child.pid + "\\n");
          child.unref();
        }
        export default { origin: "demo", rules: [${rules}] };`,
      );
    write("");
    await using webproxy = await Webproxy.start({ args: ["--config", config] });
    writeFileSync(pids, "");
    try {
      expect(await reload(webproxy)).toContain("1 site, 0 rules");
      write('{ path: "/x", bypass: true }');
      expect(await reload(webproxy)).toContain("1 site, 1 rule");
      expect(readFileSync(pids, "utf8").trim().split("\n").length).toBe(2);
    } finally {
      for (const pid of readFileSync(pids, "utf8").trim().split("\n")) if (pid !== "") process.kill(Number(pid));
    }
  });

  test("limits hold for new connections; what takes a restart is named, and stays as it is", async () => {
    await using a = await originNamed("a");
    using config = new ConfigFile({ origin: a.url, segments: 32 });
    await using webproxy = await Webproxy.start({ args: ["--config", config.path] });
    const long = () => get(webproxy.http, "/long", { headers: { "X-Long": "x".repeat(4096) } });
    expect((await long()).status).toBe("200");
    config.write({ origin: a.url, segments: 64, hot: "1MiB", maxHead: "2KiB" });
    await reload(webproxy);
    expect((await long()).status).toBe("431");
    const named = () => /take a restart: [^"]*/.exec(webproxy.stderr)?.[0];
    expect(await eventually(PATIENCE_MS, "what takes a restart", named)).toBe("take a restart: segments, hot");
    expect((await webproxy.stats()).proxy?.segments).toBe(32);
  });

  test("no request fails while sites come, go and change their origins, nor after a process has died meanwhile", async () => {
    await using a = await originNamed("a");
    await using b = await originNamed("b");
    const configFor = (round: number) => ({
      sites: [
        // Its origin, its path there, and its rules change: which of the two answers has to know the path.
        round % 2 === 0
          ? { name: "moves", hosts: "moves.example", origin: `${a.url}/ay` }
          : { name: "moves", hosts: "moves.example", origin: `${b.url}/be`, rules: [{ path: "/by*", bypass: true }] },
        { name: "stays", path: "/stays", origin: b.url, rules: [{ path: "/stays/fresh*", ttl: round }] },
        ...(round % 3 === 0 ? [{ name: "extra", hosts: "extra.example", origin: a.url }] : []),
      ],
    });
    using config = new ConfigFile(configFor(0));
    await using webproxy = await Webproxy.start({ args: ["--config", config.path] });
    let running = true;
    let answered = 0;
    const failures: string[] = [];
    const expectAnswer = (what: string, isRight: boolean, got: string) => {
      answered++;
      if (!isRight) failures.push(`${what}: ${got}`);
    };
    const client = async (number: number) => {
      for (let turn = 0; running; turn++) {
        const path = ["/fresh", "/by", `/by/${number}/${turn}`, `/fresh/${turn % 50}`][turn % 4]!;
        const moved = await ask(webproxy, "moves.example", path);
        expectAnswer(
          `moves ${path}`,
          [`a /ay${path}`, `b /be${path}`].includes(moved.body),
          `${moved.status} ${moved.body}`,
        );
        const stayed = await ask(webproxy, "any.example", `/stays${path}`);
        expectAnswer(`stays ${path}`, stayed.body === `b /stays${path}`, `${stayed.status} ${stayed.body}`);
        const { status } = await getfile(webproxy.getfile, `/stays${path}`);
        expectAnswer(`getfile ${path}`, status === "OK", status ?? "");
      }
    };
    const clients = Array.from({ length: 8 }, (_, number) => client(number));
    try {
      for (let round = 1; round <= ROUNDS; round++) {
        config.write(configFor(round));
        expect(await reload(webproxy)).toContain("was read again");
        const now = await ask(webproxy, "moves.example", "/now");
        expect(now.body).toBe(round % 2 === 0 ? "a /ay/now" : "b /be/now");
      }
    } finally {
      running = false;
      await Promise.all(clients);
    }
    expect(failures.slice(0, 5)).toEqual([]);
    expect(answered).toBeGreaterThan(100);
    // What is started anew goes by what was read last.
    process.kill((await webproxy.stats()).cache!.pid, "SIGKILL");
    await eventually(PATIENCE_MS, "the cache is back", async () => {
      const { restarts, cache } = await webproxy.stats();
      return restarts.cache === 1 && cache?.state === "serving";
    });
    const back = async () => (await ask(webproxy, "moves.example", "/fresh")).body;
    const expected = ROUNDS % 2 === 0 ? "a /ay/fresh" : "b /be/fresh";
    await eventually(PATIENCE_MS, "it knows the sites", async () => (await back()) === expected);
    expect((await webproxy.stats()).refusedMessages).toBe(0);
  });

  test("a process that runs alone reads its own again", async () => {
    await using a = await originNamed("a");
    await using b = await originNamed("b");
    using config = new ConfigFile({ sites: [{ name: "one", origin: a.url }] });
    const args = ["--config", config.path];
    await using proxy = await Webproxy.start({ command: "proxy", args });
    const cache = await Webproxy.start({ command: "cache", args, channel: proxy.channel });
    try {
      const isFrom = (name: string) => async () => (await ask(proxy, "x", "/fresh")).body === `${name} /fresh`;
      await eventually(PATIENCE_MS, "the cache is found", isFrom("a"));
      config.write({ sites: [{ name: "one", origin: b.url }] });
      await reload(cache);
      expect(await isFrom("a")()).toBe(true);
      await reload(proxy);
      expect(await isFrom("b")()).toBe(true);
    } finally {
      await cache.stop();
      cache.directory[Symbol.dispose]();
    }
  });
});

/** A connection that is kept between requests. */
class KeptConnection {
  readonly #socket;
  #received = "";

  constructor(port: number) {
    this.#socket = Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        data: (_, chunk) => {
          this.#received += chunk.toString("latin1");
        },
      },
    });
  }

  /** The response, head and body. */
  async get(host: string, path: string): Promise<string> {
    this.#received = "";
    (await this.#socket).write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    return eventually(PATIENCE_MS, "a response", () => {
      const headEnd = this.#received.indexOf("\r\n\r\n") + 4;
      const length = Number(/content-length: (\d+)/i.exec(this.#received)?.[1] ?? Number.POSITIVE_INFINITY);
      return headEnd > 3 && this.#received.length >= headEnd + length ? this.#received : undefined;
    });
  }

  close(): void {
    void this.#socket.then((socket) => socket.end());
  }
}
