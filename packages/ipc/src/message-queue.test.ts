import { expect, setDefaultTimeout, test } from "bun:test";
import { testName, watchdog } from "../test/names.ts";
import { MessageQueue } from "./message-queue.ts";
import type { ObjectName } from "./object-name.ts";

setDefaultTimeout(60_000); // the watchdogs are faster, and say what hangs

function withQueue<T>(run: (queue: MessageQueue, name: ObjectName) => T): T {
  const name = testName();
  const queue = MessageQueue.create(name, { maxmsg: 3, msgsize: 64 });
  const clean = (): void => {
    queue.unlink();
    queue.close();
  };
  let result: T;
  try {
    result = run(queue, name);
  } catch (error) {
    clean();
    throw error;
  }
  if (result instanceof Promise) return result.finally(clean) as T;
  clean();
  return result;
}

const bytes = (...values: number[]): Uint8Array => new Uint8Array(values);

test("MessageQueue keeps order within a priority, and higher priorities first", () => {
  withQueue((queue) => {
    const into = new Uint8Array(64);
    expect(queue.tryReceive(into)).toBeUndefined();
    expect(queue.trySend(bytes(1))).toBe(true);
    expect(queue.trySend(bytes(2, 2), 9)).toBe(true);
    expect(queue.trySend(bytes(3))).toBe(true);
    expect(queue.trySend(bytes(4))).toBe(false);
    expect(queue.attributes()).toEqual({ maxmsg: 3, msgsize: 64, curmsgs: 3 });
    expect(queue.tryReceive(into)).toBe(2);
    expect(queue.lastPriority).toBe(9);
    expect(queue.tryReceive(into)).toBe(1);
    expect([into[0], queue.lastPriority]).toEqual([1, 0]);
    expect(queue.tryReceive(into)).toBe(1);
    expect(into[0]).toBe(3);
    expect(queue.tryReceive(into)).toBeUndefined();
  });
});

test("MessageQueue carries empty and longest messages and refuses longer ones", () => {
  withQueue((queue) => {
    const into = new Uint8Array(64);
    expect(queue.trySend(new Uint8Array(0))).toBe(true);
    expect(queue.tryReceive(into)).toBe(0);
    expect(queue.trySend(new Uint8Array(64).fill(5))).toBe(true);
    expect(() => queue.tryReceive(new Uint8Array(63))).toThrow(expect.objectContaining({ code: "EMSGSIZE" }));
    expect(queue.tryReceive(into)).toBe(64);
    expect(() => queue.trySend(new Uint8Array(65))).toThrow(expect.objectContaining({ code: "EMSGSIZE" }));
  });
});

test("MessageQueue.create() refuses a taken name and more than the kernel allows", () => {
  withQueue((_, name) => {
    const taken = (): MessageQueue => MessageQueue.create(name, { maxmsg: 3, msgsize: 64 });
    expect(taken).toThrow(expect.objectContaining({ code: "EEXIST" }));
    const fresh = testName();
    expect(() => MessageQueue.create(fresh, { maxmsg: 0, msgsize: 64 })).toThrow(
      expect.objectContaining({ code: "EINVAL" }),
    );
    expect(MessageQueue.unlink(fresh)).toBe(false);
  });
});

test("MessageQueue.open() throws ENOENT once unlinked; who has it open goes on", () => {
  withQueue((queue, name) => {
    using other = MessageQueue.open(name);
    queue.unlink();
    queue.unlink();
    expect(MessageQueue.unlink(name)).toBe(false);
    expect(() => MessageQueue.open(name)).toThrow(expect.objectContaining({ code: "ENOENT" }));
    expect(other.trySend(bytes(1))).toBe(true);
    expect(queue.tryReceive(new Uint8Array(64))).toBe(1);
  });
});

test("MessageQueue.receive() and send() wait at least as long as asked, and mix with the others", () => {
  withQueue((queue) => {
    const into = new Uint8Array(64);
    const start = performance.now();
    expect(queue.receive(into, { timeoutMs: 30 })).toBeUndefined();
    expect(performance.now() - start).toBeGreaterThanOrEqual(30);
    expect(queue.receive(into, { timeoutMs: 0 })).toBeUndefined();
    for (let i = 0; i < 3; i++) expect(queue.send(bytes(i), { timeoutMs: 1000 })).toBe(true);
    const full = performance.now();
    expect(queue.send(bytes(9), { timeoutMs: 30 })).toBe(false);
    expect(performance.now() - full).toBeGreaterThanOrEqual(30);
    expect(queue.trySend(bytes(9))).toBe(false);
    expect(queue.tryReceive(into)).toBe(1);
    expect(queue.receive(into, { timeoutMs: Number.POSITIVE_INFINITY })).toBe(1);
    expect(into[0]).toBe(1);
  });
});

test("MessageQueue.receiveAsync() gets what comes later, times out, and obeys its signal", async () => {
  await withQueue(async (queue, name) => {
    using sender = MessageQueue.open(name);
    setTimeout(() => sender.trySend(bytes(1, 2, 3)), 20);
    expect(await watchdog(queue.receiveAsync(), "receiveAsync")).toEqual(bytes(1, 2, 3));
    const start = performance.now();
    expect(await watchdog(queue.receiveAsync({ timeoutMs: 30 }), "receiveAsync")).toBeUndefined();
    expect(performance.now() - start).toBeGreaterThanOrEqual(29);
    const reason = new Error("enough");
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 10);
    expect(
      await watchdog(
        queue.receiveAsync({ signal: controller.signal }).catch((e) => e),
        "abort",
      ),
    ).toBe(reason);
    expect(await queue.receiveAsync({ signal: controller.signal }).catch((e) => e)).toBe(reason);
  });
});

test("MessageQueue.sendAsync() waits for room", async () => {
  await withQueue(async (queue, name) => {
    using receiver = MessageQueue.open(name);
    for (let i = 0; i < 3; i++) queue.trySend(bytes(i));
    expect(await queue.sendAsync(bytes(3), { timeoutMs: 5 })).toBe(false);
    setTimeout(() => receiver.tryReceive(new Uint8Array(64)), 10);
    expect(await watchdog(queue.sendAsync(bytes(3)), "sendAsync")).toBe(true);
  });
});

test("MessageQueue as an async iterator yields every message until the signal", async () => {
  await withQueue(async (queue, name) => {
    using sender = MessageQueue.open(name);
    const controller = new AbortController();
    const seen: number[] = [];
    const send = async (): Promise<void> => {
      for (let i = 0; i < 20; i++) await sender.sendAsync(bytes(i));
    };
    const sending = send();
    const receive = async (): Promise<void> => {
      for await (const message of queue.messages({ signal: controller.signal })) {
        seen.push(message[0]!);
        if (seen.length === 20) controller.abort();
      }
    };
    await watchdog(Promise.all([sending, receive()]), "iterator");
    expect(seen).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });
});

test("MessageQueue throws once closed, also in a pending receiveAsync()", async () => {
  await withQueue(async (queue) => {
    const pending = queue.receiveAsync().catch((error) => error);
    queue.close();
    expect(await watchdog(pending, "receiveAsync")).toMatchObject({
      message: expect.stringContaining("has been closed"),
    });
    expect(() => queue.trySend(bytes(1))).toThrow("has been closed");
  });
});
