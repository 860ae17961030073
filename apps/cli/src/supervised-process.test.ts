import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { CommandError } from "./command-error.ts";
import { parseOptions } from "./options.ts";
import { SupervisedProcess } from "./supervised-process.ts";

const NOWHERE = { port: 0, fds: [] };
const SETTINGS = {
  options: parseOptions({ flags: {} }),
  sites: [],
  credentials: {},
  sockets: { http: NOWHERE, getfile: NOWHERE, https: undefined },
};

const NEVER = new AbortController().signal;
const READY = 'process.send({ type: "ready" });';
const LIVE = "setInterval(() => {}, 1000);";
const END_ON_DISCONNECT = 'process.on("disconnect", () => process.exit());';

/** Asks for its settings, and is ready once it is told them. */
const SERVE_WHEN_TOLD =
  'process.on("message", ({ type }) => { if (type === "settings") process.send({ type: "ready" }); }); process.send({ type: "settings-wanted" });';

function supervise(script: string, spareScript?: string, count = 1) {
  let ready = 0;
  const messages: string[] = [];
  const gaveUp = Promise.withResolvers<CommandError>();
  let notify = () => {};
  /** Of the system for another process. */
  const room = { isThere: true, refusals: 0 };
  const command = (text: string, ...more: string[]) => {
    if (room.isThere) return [process.execPath, "-e", END_ON_DISCONNECT + text, ...more];
    room.refusals++;
    return ["/nowhere"];
  };
  const child = new SupervisedProcess({
    name: "test",
    command: () => command(script),
    ...(spareScript !== undefined && { spares: { count, command: () => command(spareScript, "a spare") } }),
    settings: () => SETTINGS,
    log: ({ message }) => messages.push(message),
    onReady: () => {
      ready++;
      notify();
    },
    onGiveUp: gaveUp.resolve,
  });
  const readyTimes = (count: number) =>
    new Promise<void>((resolve) => {
      notify = () => {
        if (ready >= count) resolve();
      };
      notify();
    });
  return { child, messages, ready: () => ready, readyTimes, gaveUp: gaveUp.promise, room };
}

function sessionOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[3]);
}

describe("SupervisedProcess", () => {
  test("tells when it serves, in the session of its parent, and ends it with SIGTERM", async () => {
    const { child, readyTimes, ready } = supervise(`process.on("SIGTERM", () => process.exit(0)); ${READY} ${LIVE}`);
    child.start();
    await readyTimes(1);
    expect([child.isReady, child.restarts, ready()]).toEqual([true, 0, 1]);
    expect(sessionOf(child.pid!)).toBe(sessionOf(process.pid));
    await child.stop(10_000, NEVER);
    expect([child.isReady, child.pid]).toEqual([false, undefined]);
  });

  test("tells when it is stopped", async () => {
    const { child, readyTimes } = supervise(READY + LIVE);
    expect(child.isStopped).toBe(false);
    child.start();
    await readyTimes(1);
    expect(child.isStopped).toBe(false);
    process.kill(child.pid!, "SIGSTOP");
    while (!child.isStopped) await Bun.sleep(1);
    expect(child.isReady).toBe(true); // nobody watches over it
    process.kill(child.pid!, "SIGCONT");
    while (child.isStopped) await Bun.sleep(1);
    await child.stop(1, NEVER);
  });

  test("starts it again when it is killed", async () => {
    const { child, readyTimes, messages } = supervise(READY + LIVE);
    child.start();
    expect(child.hasServed).toBe(false);
    await readyTimes(1);
    process.kill(child.pid!, "SIGKILL");
    while (child.restarts === 0) await Bun.sleep(1);
    expect(child.hasServed).toBe(true);
    await readyTimes(2);
    expect(child.restarts).toBe(1);
    expect(messages[0]).toBe("the test process was ended by SIGKILL; starting it again at once");
    await child.stop(1, NEVER);
  });

  test("gives up at once when it says why it can not run", async () => {
    const { child, gaveUp, ready } = supervise(
      'process.send({ type: "failed", message: "Cannot do it" }, () => process.exit(1));',
    );
    child.start();
    expect((await gaveUp).message).toBe("Cannot do it");
    expect([(await gaveUp).exitCode, ready(), child.restarts]).toEqual([1, 0, 0]);
  });

  test("gives up after five deaths without having served", async () => {
    const { child, gaveUp } = supervise("process.exit(3)");
    child.start();
    expect((await gaveUp).message).toStartWith(
      "Cannot keep the test process running: it ended with exit code 3, 5 times in a row without having served: it gave no reason",
    );
    expect(child.restarts).toBe(4);
  });

  test("starts one again that could not be started, later each time, until there is room for it", async () => {
    const { child, readyTimes, messages, room } = supervise(READY + LIVE);
    child.start();
    await readyTimes(1);
    room.isThere = false;
    process.kill(child.pid!, "SIGKILL");
    while (child.restarts < 6) await Bun.sleep(1);
    expect(child.pid).toBeUndefined();
    room.isThere = true;
    await readyTimes(2);
    const tries = messages.filter((message) => message.startsWith("the test process could not be started;"));
    expect(tries.slice(0, 4).map((message) => message.replace(/.* again /, ""))).toEqual([
      "at once",
      "at once",
      "in 50 ms",
      "in 100 ms",
    ]);
    await child.stop(1, NEVER);
  });

  test("gives up where it can never be started, and says why", async () => {
    const { child, gaveUp, room } = supervise(READY + LIVE);
    room.isThere = false;
    child.start();
    const { message, exitCode } = await gaveUp;
    expect(message).toStartWith(
      "Cannot keep the test process running: it could not be started, 5 times in a row without having served: ENOENT",
    );
    expect([exitCode, child.pid, child.restarts]).toEqual([1, undefined, 4]);
  });

  test("does not start one again that could not be started once it is to stop", async () => {
    const { child, room } = supervise(READY + LIVE);
    room.isThere = false;
    child.start();
    await child.stop(1, NEVER);
    room.isThere = true;
    await Bun.sleep(150);
    expect([child.pid, child.restarts]).toEqual([undefined, 0]);
  });

  test("goes on without a spare one that can not be made, says so once, and has one later", async () => {
    const { child, readyTimes, messages, room } = supervise(READY + LIVE, SERVE_WHEN_TOLD + LIVE);
    child.start();
    await readyTimes(1);
    room.isThere = false;
    while (messages.length === 0) await Bun.sleep(5);
    while (room.refusals < 2) await Bun.sleep(5);
    room.isThere = true;
    const spare = await spareOf(child);
    expect([child.isReady, isThere(spare)]).toEqual([true, true]);
    expect(messages).toEqual(["cannot start a spare test process; trying again every 5 s"]);
    await child.stop(1, NEVER);
    while (isThere(spare)) await Bun.sleep(5);
  }, 30_000);

  test("kills what does not end, after the grace or when hurried", async () => {
    const stubborn = `process.on("SIGTERM", () => {}); ${READY} ${LIVE}`;
    const slow = supervise(stubborn);
    slow.child.start();
    await slow.readyTimes(1);
    const started = performance.now();
    await slow.child.stop(200, NEVER);
    expect(performance.now() - started).toBeGreaterThanOrEqual(199);
    expect(slow.child.pid).toBeUndefined();

    const hurried = supervise(stubborn);
    hurried.child.start();
    await hurried.readyTimes(1);
    const hurry = new AbortController();
    const stopped = hurried.child.stop(3_600_000, hurry.signal);
    hurry.abort();
    await stopped;
    expect(hurried.messages.at(-1)).toBe("killing the test process, which does not end");
  });

  test("does not start it again once it is to stop, whether it runs or waits for its restart", async () => {
    const { child, readyTimes } = supervise(READY + LIVE);
    child.start();
    await readyTimes(1);
    for (let death = 1; death <= 3; death++) {
      process.kill(child.pid!, "SIGKILL");
      await readyTimes(1 + death);
    }
    process.kill(child.pid!, "SIGKILL"); // the fourth death in a short time: it waits
    while (child.pid !== undefined) await Bun.sleep(1);
    await child.stop(1, NEVER);
    await Bun.sleep(150);
    expect([child.pid, child.restarts]).toEqual([undefined, 3]);
  });

  test("has a spare one in its place when it is killed, and then another spare one", async () => {
    const { child, readyTimes } = supervise(READY + LIVE, SERVE_WHEN_TOLD + LIVE);
    child.start();
    await readyTimes(1);
    for (let death = 1; death <= 2; death++) {
      const spare = await spareOf(child);
      process.kill(child.pid!, "SIGKILL");
      await readyTimes(1 + death);
      expect([child.pid, child.restarts]).toEqual([spare, death]);
    }
    const last = await spareOf(child);
    await child.stop(1, NEVER);
    expect(isThere(last)).toBeFalse();
  });

  test("has as many spare ones as it is to have, for deaths that follow one another", async () => {
    const { child, readyTimes } = supervise(READY + LIVE, SERVE_WHEN_TOLD + LIVE, 2);
    child.start();
    await readyTimes(1);
    while (sparesOf(child).length < 2) await Bun.sleep(5);
    const spares = sparesOf(child);
    for (const [index, spare] of spares.entries()) {
      process.kill(child.pid!, "SIGKILL");
      await readyTimes(2 + index);
      expect(child.pid).toBe(spare);
    }
    await child.stop(1, NEVER);
    expect(sparesOf(child)).toEqual([]);
  });

  test("does without a spare one that has died, or that dies in its place", async () => {
    const { child, readyTimes } = supervise(READY + LIVE, SERVE_WHEN_TOLD + LIVE);
    child.start();
    await readyTimes(1);
    const spare = await spareOf(child);
    process.kill(spare, "SIGSTOP");
    process.kill(child.pid!, "SIGKILL");
    while (child.pid !== spare) await Bun.sleep(1);
    process.kill(spare, "SIGKILL");
    await readyTimes(2);
    expect(child.restarts).toBe(2);
    process.kill(await spareOf(child), "SIGKILL");
    await Bun.sleep(100);
    expect(child.isReady).toBeTrue();
    process.kill(child.pid!, "SIGKILL");
    await readyTimes(3);
    await child.stop(1, NEVER);
  });

  test("dies with its supervisor, however that dies", async () => {
    const module = new URL("./supervised-process.ts", import.meta.url).href;
    const script = `const { SupervisedProcess } = await import(${JSON.stringify(module)});
      const child = new SupervisedProcess({ name: "test", log() {}, onGiveUp() {}, settings: () => ({}),
        command: () => [process.execPath, "-e", ${JSON.stringify(END_ON_DISCONNECT + READY + LIVE)}],
        onReady: () => console.log(child.pid) });
      child.start(); ${LIVE}`;
    const supervisor = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
    const { value } = await supervisor.stdout.getReader().read();
    const pid = Number(new TextDecoder().decode(value));
    supervisor.kill("SIGKILL");
    await supervisor.exited;
    while (isThere(pid)) await Bun.sleep(5);
  });
});

/** The first spare process once it is there. */
async function spareOf(child: SupervisedProcess): Promise<number> {
  for (;;) {
    const [spare] = sparesOf(child);
    if (spare !== undefined) return spare;
    await Bun.sleep(5);
  }
}

/** The oldest first. */
function sparesOf(child: SupervisedProcess): number[] {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, "latin1").trim().split(" ").map(Number);
  return children.filter((pid) => pid !== child.pid && isSpare(pid));
}

function isSpare(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("a spare");
  } catch {
    return false;
  }
}

function isThere(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]?.startsWith("Z") === false;
  } catch {
    return false;
  }
}
