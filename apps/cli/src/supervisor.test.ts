import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { objectsOf, ownChannel, type RunningCommand, runCommand, startCommand, until } from "./test-process.ts";

const PAGE = "hello through shared memory\n";
const LARGE = new Uint8Array(3_000_001).map((_, index) => (index * 7 + (index >> 9)) & 0xff);
const TIMEOUT_MS = 60_000;

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "webproxy-start-"));
  writeFileSync(join(directory, "page.txt"), PAGE);
  writeFileSync(join(directory, "large.bin"), LARGE);
});

afterAll(() => rmSync(directory, { recursive: true }));

function options(channel: string, ...more: string[]): string[] {
  const ports = ["--http-port", "0", "--getfile-port", "0"];
  return ["-s", directory, "--channel", channel, "-t", "2", "-n", "16", "-z", "64KiB", "-c", "none", ...ports, ...more];
}

function startArguments(channel: string, ...more: string[]): string[] {
  return [...options(channel), "--admin-port", "0", ...more];
}

async function withSupervisor(use: (running: RunningCommand, channel: string) => Promise<void>): Promise<void> {
  const channel = ownChannel();
  const running = await startCommand(startArguments(channel));
  try {
    await use(running, channel);
  } finally {
    running.signal("SIGTERM");
    await running.ended();
  }
  expect(objectsOf(channel)).toEqual([]);
}

async function readJson(url: string): Promise<Record<string, unknown>> {
  return (await (await fetch(url)).json()) as Record<string, unknown>;
}

async function isReady({ addresses }: RunningCommand): Promise<boolean> {
  return (await fetch(`http://${addresses["admin"]}/readyz`)).status === 200;
}

async function expectServed({ addresses }: RunningCommand): Promise<void> {
  const response = await fetch(`http://${addresses["http"]}/page.txt`);
  expect([response.status, await response.text()]).toEqual([200, PAGE]);
  const output = join(directory, `got-${Math.random().toString(36).slice(2)}`);
  const got = await runCommand(["get", `getfile://${addresses["getfile"]}/large.bin`, "-o", output]);
  expect(got).toEqual({ exitCode: 0, stdout: "", stderr: "" });
  expect(readFileSync(output).equals(LARGE)).toBeTrue();
  rmSync(output);
}

/** The pids of the children of a supervisor that carry this word as an argument. */
function childPid(supervisor: number, side: "proxy" | "cache"): number | undefined {
  const children = readFileSync(`/proc/${supervisor}/task/${supervisor}/children`, "latin1")
    .trim()
    .split(" ")
    .map(Number);
  return children.find((pid) => argumentsOf(pid).includes(side));
}

function argumentsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    return [];
  }
}

describe("webproxy start", () => {
  test(
    "says what it serves in one line, serves it, counts it, and leaves nothing",
    () =>
      withSupervisor(async (running, channel) => {
        const address = "127\\.0\\.0\\.1:\\d+";
        expect(running.readyLine).toMatch(
          new RegExp(`^webproxy ready http=${address} getfile=${address} admin=${address} pid=${running.pid}$`),
        );
        expect(childPid(running.pid, "cache")).toBeNumber();
        expect(childPid(running.pid, "proxy")).toBeNumber();
        await expectServed(running);
        await expectServed(running);
        expect(objectsOf(channel).length).toBeGreaterThan(4);

        const admin = `http://${running.addresses["admin"]}`;
        expect((await fetch(`${admin}/healthz`)).status).toBe(200);
        expect(await isReady(running)).toBeTrue();
        // Levels are written ten times a second: what was in use a moment ago may still be said to be.
        let stats = await readJson(`${admin}/api/stats`);
        for (let tries = 0; tries < 100 && stats["segmentsInUse"] !== 0; tries++) {
          await Bun.sleep(50);
          stats = await readJson(`${admin}/api/stats`);
        }
        expect(stats).toMatchObject({
          channel,
          hits: 2,
          segmentsInUse: 0,
          lostWakeups: 0,
          doubleGiveBacks: 0,
          checksumFailures: 0,
          refusedMessages: 0,
          restarts: { proxy: 0, cache: 0 },
          stalls: { proxy: 0, cache: 0 },
        });
        expect(stats["misses"]).toBe(2);
        expect(stats["portions"]).toBeGreaterThan(0);
        const metrics = await (await fetch(`${admin}/metrics`)).text();
        expect(metrics).toContain("\nwebproxy_hits_total 2\n");
        const foreign = await fetch(`${admin}/api/stats`, { headers: { host: "evil.example" } });
        expect(foreign.status).toBe(421);

        const printed = await runCommand(["stats", "--json", "--channel", channel]);
        expect(JSON.parse(printed.stdout)).toMatchObject({ channel, hits: 2, proxy: { state: "serving", threads: 2 } });
        expect((await runCommand(["stats", "--channel", channel])).stdout).toContain("cache serving, pid");
      }),
    TIMEOUT_MS,
  );

  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    test(
      `ends with exit code 0 and leaves nothing at ${signal}`,
      async () => {
        const channel = ownChannel();
        const running = await startCommand(startArguments(channel));
        running.signal(signal);
        expect(await running.ended()).toEqual({ exitCode: 0, stderr: "" });
        expect(objectsOf(channel)).toEqual([]);
      },
      TIMEOUT_MS,
    );
  }

  test(
    "leaves nothing whenever it is interrupted",
    async () => {
      const main = new URL("main.ts", import.meta.url).pathname;
      for (let round = 0; round < 8; round++) {
        const channel = ownChannel();
        const child = Bun.spawn([process.execPath, main, ...startArguments(channel)], {
          stdout: "ignore",
          stderr: "ignore",
        });
        await Bun.sleep(round * 60);
        child.kill("SIGINT");
        await child.exited;
        // Before the first line of main.ts has run the signal ends the process by itself, with nothing made.
        expect(child.exitCode === 0 || child.signalCode === "SIGINT").toBeTrue();
        expect(objectsOf(channel)).toEqual([]);
      }
    },
    TIMEOUT_MS,
  );

  test(
    "starts a killed process again, on the same ports, and goes on serving",
    () =>
      withSupervisor(async (running) => {
        await expectServed(running);
        for (const side of ["cache", "proxy"] as const) {
          const former = childPid(running.pid, side)!;
          process.kill(former, "SIGKILL");
          await until(() => ![undefined, former].includes(childPid(running.pid, side)));
          await until(() => isReady(running));
          await expectServed(running);
        }
        const stats = await readJson(`http://${running.addresses["admin"]}/api/stats`);
        expect(stats["restarts"]).toEqual({ proxy: 1, cache: 1 });
      }),
    TIMEOUT_MS,
  );

  test(
    "ends its children when it is killed, and they remove what is theirs",
    async () => {
      const channel = ownChannel();
      const running = await startCommand(startArguments(channel));
      const children = [childPid(running.pid, "cache")!, childPid(running.pid, "proxy")!];
      running.signal("SIGKILL");
      await running.ended();
      await until(() => children.every((pid) => argumentsOf(pid).join("") === ""));
      expect(objectsOf(channel)).toEqual([]);
    },
    TIMEOUT_MS,
  );

  test(
    "removes what a crash of all three left, at the next start",
    async () => {
      const channel = ownChannel();
      const running = await startCommand(startArguments(channel));
      // A stopped child can not clean up when it sees its supervisor die.
      const pids = [childPid(running.pid, "cache")!, childPid(running.pid, "proxy")!, running.pid];
      for (const pid of pids) process.kill(pid, "SIGSTOP");
      for (const pid of pids) process.kill(pid, "SIGKILL");
      await running.ended();
      expect(objectsOf(channel).length).toBeGreaterThan(4);
      const next = await startCommand(startArguments(channel));
      try {
        await expectServed(next);
      } finally {
        next.signal("SIGTERM");
      }
      expect((await next.ended()).exitCode).toBe(0);
      expect(objectsOf(channel)).toEqual([]);
    },
    TIMEOUT_MS,
  );

  test(
    "refuses a second instance on its channel and every port that it has, and goes on serving",
    () =>
      withSupervisor(async (running, channel) => {
        const { http, getfile, admin } = running.addresses;
        const portOf = (address = "") => address.split(":")[1]!;
        const refused: readonly [string[], RegExp][] = [
          [
            [],
            /^webproxy: Cannot start the (cache|proxy) of channel .*: process \d+ is that already. Stop it, or choose another channel/,
          ],
          [
            ["--channel", `${channel}-2`, "--http-port", portOf(http)],
            /^webproxy: Cannot listen on 127.0.0.1 port \d+: another process does.*--http-port/,
          ],
          [
            ["--channel", `${channel}-2`, "--getfile-port", portOf(getfile)],
            /^webproxy: Cannot listen on 127.0.0.1 port \d+: another process does.*--getfile-port/,
          ],
          [
            ["--channel", `${channel}-2`, "--admin-port", portOf(admin)],
            /^webproxy: Cannot listen on 127.0.0.1:\d+ for the admin API: EADDRINUSE; give another --admin-port/,
          ],
        ];
        for (const [more, message] of refused) {
          const outcome = await runCommand(startArguments(channel, ...more));
          expect(outcome).toEqual({ exitCode: 1, stdout: "", stderr: expect.stringMatching(message) });
          expect(outcome.stderr.trimEnd().split("\n")).toHaveLength(1);
        }
        expect(objectsOf(`${channel}-2`)).toEqual([]);
        await expectServed(running);
      }),
    TIMEOUT_MS,
  );

  test(
    "refuses a pool that /dev/shm has no room for, and a cache directory that can not be written",
    async () => {
      const channel = ownChannel();
      const refused: readonly [string[], RegExp][] = [
        [
          ["-n", "65535", "-z", "1GiB"],
          /^webproxy: Cannot make 65535 segments of 1GiB in \/dev\/shm: they take 65535GiB and .* free; give fewer/,
        ],
        [["-c", "/proc/none"], /^webproxy: Cannot store responses in \/proc\/none: \w+; make it writable/],
      ];
      for (const [more, message] of refused) {
        expect(await runCommand(startArguments(channel, ...more))).toEqual({
          exitCode: 1,
          stdout: "",
          stderr: expect.stringMatching(message),
        });
        expect(objectsOf(channel)).toEqual([]);
      }
    },
    TIMEOUT_MS,
  );

  test(
    "stores responses in the cache directory, and keeps to the smallest segments",
    async () => {
      const channel = ownChannel();
      const cacheDir = join(directory, "cache");
      const running = await startCommand(startArguments(channel, "-c", cacheDir, "-z", "4KiB", "--memory", "0"));
      try {
        await expectServed(running);
        expect(readdirSync(cacheDir).length).toBeGreaterThan(0);
      } finally {
        running.signal("SIGTERM");
      }
      expect((await running.ended()).exitCode).toBe(0);
    },
    TIMEOUT_MS,
  );
});

describe("webproxy proxy and webproxy cache alone", () => {
  for (const order of [
    ["cache", "proxy"],
    ["proxy", "cache"],
  ] as const) {
    test(
      `find each other when ${order[0]} is first, and end in either order`,
      async () => {
        const channel = ownChannel();
        const running: RunningCommand[] = [];
        try {
          for (const side of order) running.push(await startCommand([side, ...options(channel)]));
          const proxy = running[order.indexOf("proxy")]!;
          expect(proxy.readyLine).toMatch(
            new RegExp(`^webproxy proxy ready channel=${channel} http=\\S+ getfile=\\S+ pid=${proxy.pid}$`),
          );
          await expectServed(proxy);
        } finally {
          for (const process of running) {
            process.signal("SIGTERM");
            expect((await process.ended()).exitCode).toBe(0);
          }
        }
        expect(objectsOf(channel)).toEqual([]);
      },
      TIMEOUT_MS,
    );
  }
});
