import { describe, expect, test } from "bun:test";
import type { LogRecord } from "@proj/protocol";
import { Thread, ThreadError, threadEntry } from "./thread-host.ts";

const ENTRY = new URL("../test/scripted-thread.ts", import.meta.url);

function start(how: string, records: LogRecord[] = []) {
  const thread = new Thread<{ how: string }, string, number, number>(how, ENTRY);
  return Object.assign(thread, { started: thread.start({ how }, (record) => records.push(record)) });
}

/** Rejects when nothing came of it: a hang is a failure with a name. */
function within<T>(promise: Promise<T>, what: string): Promise<T> {
  return Promise.race([promise, Bun.sleep(20_000).then(() => Promise.reject(new Error(`${what}: nothing in 20 s`)))]);
}

describe("Thread", () => {
  test("starts, passes on what it logs, stops when asked", async () => {
    const records: LogRecord[] = [];
    const thread = start("well", records);
    expect(await within(thread.started, "start")).toBe("started well");
    expect(records).toEqual([{ level: "info", message: "starting well" }]);
    await within(thread.stop(10_000), "stop");
  });

  test("a start that is refused rejects with the thread's own message and code", async () => {
    const thread = start("refuse");
    const error = await within(
      thread.started.catch((reason: unknown) => reason),
      "refusal",
    );
    expect(error).toBeInstanceOf(ThreadError);
    expect(error).toMatchObject({ message: "Cannot start: told to refuse", code: "ERR_TOLD" });
    await thread.stop(0);
  });

  for (const how of ["throw later", "reject later", "exit"]) {
    test(`one that ends by itself (${how}) is told as died`, async () => {
      const thread = start(how);
      await within(thread.started, "start");
      expect(await within(thread.died, "death")).toMatchObject({ code: "ERR_THREAD_DIED" });
    });
  }

  test("answers what it is asked, each question its own answer, and says why it can not", async () => {
    const thread = start("well");
    await within(thread.started, "start");
    expect(await within(Promise.all([8, 6, 4].map((one) => thread.ask(one))), "answers")).toEqual([4, 3, 2]);
    const refused = thread.ask(-1).catch((reason: unknown) => reason);
    expect(await within(refused, "refusal")).toMatchObject({
      code: "ERR_TOLD",
      message: "Cannot halve less than nothing",
    });
    await within(thread.stop(10_000), "stop");
  });

  test("a question to one that ends is not left open", async () => {
    const thread = start("exit when asked");
    await within(thread.started, "start");
    const asked = thread.ask(1).catch((reason: unknown) => reason);
    expect(await within(asked, "answer")).toBeInstanceOf(ThreadError);
  });

  test("one that does not stop is ended after the grace it was given", async () => {
    const thread = start("never stop");
    await within(thread.started, "start");
    await within(thread.stop(50), "stop");
  });
});

test("threadEntry() is beside the source, or beside the bundle", () => {
  expect(threadEntry("file:///a/src/proxy.ts", "proxy-thread").href).toBe("file:///a/src/proxy-thread.ts");
  expect(threadEntry("file:///b/dist/main.js", "proxy-thread").href).toBe("file:///b/dist/proxy-thread.js");
});
