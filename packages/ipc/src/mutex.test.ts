import { expect, setDefaultTimeout, test } from "bun:test";
import { testName, watchdog } from "../test/names.ts";
import { MUTEX_BYTES, Mutex } from "./mutex.ts";
import { SharedMemory } from "./shared-memory.ts";

setDefaultTimeout(60_000); // the watchdogs are faster, and say what hangs

const SOURCE = JSON.stringify(new URL("./index.ts", import.meta.url).pathname);

function child(script: string, ...args: string[]): Bun.Subprocess<"ignore", "pipe", "inherit"> {
  const source = `import { Mutex, SharedMemory, objectName } from ${SOURCE};\nconst args = process.argv.slice(1);\n${script}`;
  return Bun.spawn([process.execPath, "-e", source, ...args], { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
}

async function line(process: Bun.Subprocess<"ignore", "pipe", "inherit">): Promise<string> {
  const reader = process.stdout.getReader();
  const { value } = await watchdog(reader.read(), "a child's line");
  reader.releaseLock();
  return new TextDecoder().decode(value).trim();
}

test("Mutex excludes, and refuses to be locked twice, unlocked by others, or closed while held", () => {
  using memory = SharedMemory.anonymous(128);
  using mutex = Mutex.create(memory, 64);
  expect(memory.bytes.subarray(0, 64).every((byte) => byte === 0)).toBe(true);
  expect(mutex.tryLock()).toBe("locked");
  expect(() => mutex.tryLock()).toThrow(expect.objectContaining({ code: "EDEADLK" }));
  expect(() => mutex.lock({ timeoutMs: 10 })).toThrow(expect.objectContaining({ code: "EDEADLK" }));
  expect(() => mutex.close()).toThrow("it is locked");
  mutex.unlock();
  expect(() => mutex.unlock()).toThrow(expect.objectContaining({ code: "EPERM" }));
  expect(mutex.lock({ timeoutMs: 0 })).toBe("locked");
  mutex.unlock();
  expect(() => Mutex.create(memory, 32)).toThrow(RangeError);
  expect(() => Mutex.create(memory, 128)).toThrow(RangeError);
});

test("Mutex outlives the mapping it was made in", () => {
  const memory = SharedMemory.anonymous(MUTEX_BYTES);
  using mutex = Mutex.create(memory, 0);
  expect(mutex.tryLock()).toBe("locked");
  memory.close();
  mutex.unlock();
  expect(mutex.tryLock()).toBe("locked");
  mutex.unlock();
});

test("Mutex held by another process: lock() times out; when that process is killed the next owner is told", async () => {
  const name = testName();
  using memory = SharedMemory.create(name, MUTEX_BYTES);
  try {
    using mutex = Mutex.create(memory, 0);
    const hold = `
      const memory = SharedMemory.open(objectName(args[0]));
      console.log(Mutex.at(memory, 0).tryLock());
      setInterval(() => undefined, 1000);
    `;
    const one = child(hold, name);
    expect(await line(one)).toBe("locked");
    expect(mutex.tryLock()).toBeUndefined();
    const start = performance.now();
    expect(mutex.lock({ timeoutMs: 20 })).toBeUndefined();
    expect(performance.now() - start).toBeGreaterThanOrEqual(20);
    one.kill("SIGKILL");
    await one.exited;
    expect(mutex.lock({ timeoutMs: 5_000 })).toBe("owner-died");
    mutex.consistent();
    mutex.unlock();
    expect(mutex.tryLock()).toBe("locked");
    mutex.unlock();

    const two = child(hold, name);
    expect(await line(two)).toBe("locked");
    two.kill("SIGKILL");
    await two.exited;
    expect(mutex.tryLock()).toBe("owner-died");
    mutex.unlock(); // without consistent(): nobody can repair it any more
    expect(() => mutex.tryLock()).toThrow(expect.objectContaining({ code: "ENOTRECOVERABLE" }));
  } finally {
    memory.unlink();
  }
});

test("Mutex held by a Worker that is terminated passes to the next owner", async () => {
  const name = testName();
  using memory = SharedMemory.create(name, MUTEX_BYTES);
  try {
    using mutex = Mutex.create(memory, 0);
    const worker = new Worker(new URL("../test/mutex-holder.worker.ts", import.meta.url));
    const message = new Promise((resolve) => worker.addEventListener("message", (event) => resolve(event.data)));
    worker.postMessage(name);
    expect(await watchdog(message, "the Worker")).toBe("locked");
    expect(mutex.tryLock()).toBeUndefined();
    const closed = new Promise((resolve) => worker.addEventListener("close", resolve));
    worker.terminate();
    await watchdog(closed, "the Worker's end");
    expect(mutex.lock({ timeoutMs: 5_000 })).toBe("owner-died");
    mutex.consistent();
    mutex.unlock();
  } finally {
    memory.unlink();
  }
});

test("Mutex: four processes that add under it, without atomics, lose nothing", async () => {
  const name = testName();
  const rounds = 20_000;
  using memory = SharedMemory.create(name, 128);
  try {
    using mutex = Mutex.create(memory, 64);
    const script = `
      const memory = SharedMemory.open(objectName(args[0]));
      const mutex = Mutex.at(memory, 64);
      for (let round = 0; round < ${rounds}; round++) {
        if (mutex.lock({ timeoutMs: 10_000 }) !== "locked") throw new Error("not locked");
        memory.i32[0] += 1;
        mutex.unlock();
      }
    `;
    const children = Array.from({ length: 4 }, () => child(script, name));
    const codes = await watchdog(Promise.all(children.map((process) => process.exited)), "the children", 60_000);
    expect(codes).toEqual([0, 0, 0, 0]);
    expect(memory.i32[0]).toBe(4 * rounds);
    expect(mutex.tryLock()).toBe("locked");
    mutex.unlock();
  } finally {
    memory.unlink();
  }
});
