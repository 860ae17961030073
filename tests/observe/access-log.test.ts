/** Every request is logged once, in each format, whatever becomes of log files and processes; and `webproxy log` shows what the rings hold. */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, renameSync } from "node:fs";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile } from "../support/getfile-client.ts";
import { http } from "../support/http-client.ts";
import { TempDirectory } from "../support/temp-directory.ts";
import { MAIN, Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

const PATIENCE_MS = 20_000;
const BODY = Buffer.alloc(1000, "x");
const STORED = { "Cache-Control": "max-age=600" };

function originWithAll() {
  return CountingOrigin.start({
    "/stored": { body: BODY, headers: STORED },
    "/private": { body: BODY, headers: { "Cache-Control": "private" } },
    "/broken": { body: BODY, dieAfterBytes: 500 },
    "/posted": { body: BODY },
  });
}

function linesOf(path: string): string[] {
  return existsSync(path) ? readFileSync(path, "latin1").split("\n").slice(0, -1) : [];
}

interface Entry {
  target: string;
  verdict: string;
  status: number;
  [field: string]: unknown;
}

function entriesOf(path: string): Entry[] {
  return linesOf(path).map((line) => JSON.parse(line) as Entry);
}

async function runLog(webproxy: Webproxy, ...args: string[]) {
  const child = Bun.spawn([process.execPath, MAIN, "log", "--channel", webproxy.channel, ...args], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { stdout, stderr, exitCode };
}

describe("access log", () => {
  test("has a line for each request, with what became of it", async () => {
    await using origin = originWithAll();
    await using webproxy = await Webproxy.start({ origin: origin.url, args: ["--access-log", "-"] });
    const agent = { "User-Agent": 'evil\x9b"\\', Referer: "http://from.example/" };
    await http(webproxy.http, "/stored?1", { headers: agent });
    for (const path of ["/stored", "/stored", "/stored", "/private", "/broken", "/none"])
      await http(webproxy.http, path);
    await http(webproxy.http, "/posted", { method: "DELETE" });
    await http(webproxy.http, "/stored", { headers: { "If-None-Match": '"x"', "Cache-Control": "no-cache" } });
    await http(webproxy.http, "/a b");
    await getfile(webproxy.getfile, "/stored");
    await getfile(webproxy.getfile, "/none");
    const entries = await eventually(PATIENCE_MS, "12 lines", () => {
      const all = webproxy.stderr
        .split("\n")
        .filter((line) => line.includes('"source":"access"'))
        .map((line) => JSON.parse(line) as Entry);
      return all.length >= 12 && all;
    });
    expect(entries).toHaveLength(12);
    const of = (target: string) => entries.filter((entry) => entry.target === target);
    expect(of("/stored?1")[0]).toMatchObject({ status: 404, userAgent: agent["User-Agent"], referer: agent.Referer });
    const stored = of("/stored").filter(({ protocol }) => protocol === "HTTP/1.1");
    expect(stored.map(({ verdict }) => verdict)).toContain("uri-miss");
    const [first] = stored.filter(({ verdict }) => verdict === "uri-miss");
    expect(first).toMatchObject({ status: 200, method: "GET", client: "127.0.0.1", flags: ["stored"] });
    expect(first!["bytes"]).toBeGreaterThan(1000);
    for (const name of ["firstByteMs", "totalMs", "originMs"]) expect(first![name]).toBeGreaterThan(0);
    expect(first!["firstByteMs"]).toBeLessThanOrEqual(first!["totalMs"] as number);
    expect(first!["originMs"]).toBeLessThanOrEqual(first!["firstByteMs"] as number);
    const again = stored.filter(({ verdict }) => verdict === "hit" || verdict === "hot");
    expect(again).toHaveLength(2);
    for (const entry of again) expect(entry["originMs"]).toBeUndefined();
    expect(stored.map(({ verdict }) => verdict)).toContain("request");
    expect(of("/private")).toMatchObject([{ verdict: "uri-miss", status: 200 }]);
    expect(of("/private")[0]!["flags"]).toBeUndefined();
    expect(of("/broken")[0]).toMatchObject({ status: 200, flags: expect.arrayContaining(["aborted"]) });
    expect(of("/posted")).toMatchObject([{ verdict: "pass", method: "DELETE", status: 200 }]);
    expect(of("")).toMatchObject([{ verdict: "malformed", status: 400 }]);
    // Those of two threads come in any order.
    const getfiles = entries.filter(({ protocol }) => protocol === "GETFILE");
    expect(new Map(getfiles.map(({ target, status }) => [target, status]))).toEqual(
      new Map([
        ["/stored", 200],
        ["/none", 404],
      ]),
    );
    // CHECKLIST 30: not a byte of the client's reaches the terminal as it is.
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there
    expect(webproxy.stderr).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
  }, 90_000);

  test("loses nothing to rotation by SIGUSR1, nor to a proxy that is killed, hot hits included", async () => {
    await using origin = originWithAll();
    using directory = new TempDirectory();
    const log = directory.file("access.log");
    const file = directory.file("webproxy.log");
    const args = ["--access-log", log, "--log-file", file, "--threads", "1"];
    await using logged = await Webproxy.start({ origin: origin.url, args });
    let asked = 0;
    const ask = async (count: number) => {
      for (let index = 0; index < count; index++, asked++) await http(logged.http, "/stored");
    };
    const logs = () => [`${log}.1`, log].flatMap(linesOf);
    await ask(50);
    renameSync(log, `${log}.1`);
    renameSync(file, `${file}.1`);
    await ask(20);
    logged.kill("SIGUSR1");
    await eventually(PATIENCE_MS, "new files", () => existsSync(log) && existsSync(file));
    await ask(50);
    const proxyPid = (await logged.stats()).proxy!.pid;
    process.kill(proxyPid, "SIGKILL");
    await eventually(PATIENCE_MS, "another proxy serves", async () => {
      const { proxy } = await logged.stats();
      return proxy?.pid !== proxyPid && proxy?.state === "serving";
    });
    expect({ restarts: (await logged.stats()).restarts, log: readFileSync(file, "utf8") }).toMatchObject({
      restarts: { proxy: 1, cache: 0 },
    });
    await ask(50);
    // The last before the kill may have been answered and not yet recorded: that is the same turn of the thread's event loop, but after it.
    await eventually(
      PATIENCE_MS,
      () => `${asked} lines, or one less; there are ${logs().length}`,
      () => logs().length >= asked - 1,
    );
    expect(logs().length).toBeLessThanOrEqual(asked);
    expect(linesOf(log).length).toBeGreaterThanOrEqual(100);
    expect([log, `${log}.1`].flatMap(entriesOf).filter(({ verdict }) => verdict === "hot").length).toBeGreaterThan(100);
    expect(readFileSync(file, "utf8")).toContain("the proxy process was ended by SIGKILL");
    await logged.stop();
    expect(logged.stderr).toBe("");
  }, 120_000);

  test("is in the combined format where that is the log's, also of a proxy that runs alone", async () => {
    await using origin = originWithAll();
    await using proxy = await Webproxy.start({
      origin: origin.url,
      command: "proxy",
      args: ["--log-format", "combined"],
    });
    await using cache = await Webproxy.start({ origin: origin.url, command: "cache", channel: proxy.channel });
    expect(cache.pid).not.toBe(proxy.pid);
    try {
      await http(proxy.http, "/stored", { headers: { "User-Agent": "test" } });
      const line =
        /^127\.0\.0\.1 - - \[\d\d\/\w{3}\/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET \/stored HTTP\/1\.1" 200 \d{4} "-" "test"$/m;
      await eventually(PATIENCE_MS, "the line", () => line.test(proxy.stderr));
    } finally {
      await Promise.all([cache.stop(), proxy.stop()]);
    }
  }, 90_000);
});

describe("webproxy log", () => {
  test("shows what was answered last, filtered, also while the processes are stopped and after they are dead", async () => {
    await using origin = originWithAll();
    // Alone: a supervisor would replace whom it finds stopped.
    await using proxy = await Webproxy.start({ origin: origin.url, command: "proxy" });
    await using cache = await Webproxy.start({ origin: origin.url, command: "cache", channel: proxy.channel });
    try {
      for (const path of ["/stored", "/private", "/none"]) await http(proxy.http, path);
      for (const { pid } of [proxy, cache]) process.kill(pid, "SIGSTOP");
      const all = await runLog(proxy, "--json");
      expect(all.exitCode).toBe(0);
      const entries = all.stdout
        .split("\n")
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Entry);
      expect(entries.map(({ target }) => target).sort()).toEqual(["/none", "/private", "/stored"]);
      const some = await runLog(proxy, "status=2xx", "target!~stored");
      expect(some.stdout.split("\n")).toHaveLength(2);
      expect(some.stdout).toContain(" GET /private HTTP/1.1 ");
      expect(await runLog(proxy, "colour=red")).toMatchObject({ exitCode: 2, stdout: "" });
      proxy.kill("SIGKILL");
      await proxy.ended();
      expect((await runLog(proxy, "--json")).stdout).toBe(all.stdout);
    } finally {
      cache.kill("SIGCONT");
      await cache.stop();
      Bun.spawnSync([process.execPath, MAIN, "doctor", "--fix", "--channel", proxy.channel], { timeout: 30_000 });
    }
    const none = await runLog(proxy);
    expect(none).toMatchObject({ exitCode: 1, stdout: "" });
    expect(none.stderr).toContain("no proxy of it runs");
  }, 90_000);

  test("follows, every hot hit too, until it is stopped", async () => {
    await using origin = originWithAll();
    await using webproxy = await Webproxy.start({ origin: origin.url });
    await http(webproxy.http, "/stored");
    const child = Bun.spawn(
      [process.execPath, MAIN, "log", "-f", "--json", "--channel", webproxy.channel, "verdict=hot"],
      {
        stdout: "pipe",
        stderr: "pipe",
      },
    );
    try {
      let shown = "";
      const reading = (async () => {
        for await (const chunk of child.stdout) shown += new TextDecoder().decode(chunk);
      })();
      // From the moment that its wish is seen, each is shown; until then a sample.
      const lines = () => shown.split("\n").length;
      await eventually(PATIENCE_MS, "each of 50 is shown", async () => {
        const before = lines();
        for (let index = 0; index < 50; index++) await http(webproxy.http, "/stored");
        await Bun.sleep(300);
        return lines() >= before + 50;
      });
      child.kill("SIGTERM");
      expect(await child.exited).toBe(0);
      await reading;
      expect(
        new Set(
          shown
            .split("\n")
            .slice(0, -1)
            .map((line) => (JSON.parse(line) as Entry).verdict),
        ),
      ).toEqual(new Set(["hot"]));
    } finally {
      child.kill("SIGKILL");
    }
  }, 90_000);
});
