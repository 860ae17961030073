import { expect, setDefaultTimeout, test } from "bun:test";
import { testName, watchdog } from "../test/names.ts";
import { objectName } from "./object-name.ts";
import { Semaphore } from "./semaphore.ts";
import { SharedMemory } from "./shared-memory.ts";

setDefaultTimeout(60_000); // the watchdogs are faster, and say what hangs

test("Semaphore, named: counts, is found by name, and stays for those who have it", () => {
  const name = testName();
  using one = Semaphore.create(name, 2);
  try {
    using two = Semaphore.open(name);
    expect(() => Semaphore.create(name, 0)).toThrow(expect.objectContaining({ code: "EEXIST" }));
    expect([one.tryWait(), two.tryWait(), one.tryWait()]).toEqual([true, true, false]);
    two.post();
    expect([one.value, two.value]).toEqual([1, 1]);
    one.unlink();
    one.unlink();
    expect(() => Semaphore.open(name)).toThrow(expect.objectContaining({ code: "ENOENT" }));
    expect(two.wait({ timeoutMs: 0 })).toBe(true);
    expect(() => one.reset(0)).toThrow(expect.objectContaining({ code: "EINVAL" }));
  } finally {
    one.unlink();
  }
});

test("Semaphore.create() refuses what it can not name or count", () => {
  expect(() => Semaphore.create(objectName(`/${"x".repeat(252)}`), 0)).toThrow("251");
  expect(() => Semaphore.create(testName(), 2 ** 31)).toThrow(expect.objectContaining({ code: "EINVAL" }));
});

test("Semaphore: a value that is none is refused before it is cut to 32 bits", () => {
  using memory = SharedMemory.anonymous(64);
  const semaphore = Semaphore.at(memory, 0, 3);
  for (const value of [-1, 0.5, Number.NaN, 2 ** 31, 2 ** 32 + 1]) {
    const refused = expect.objectContaining({ code: "EINVAL" });
    expect(() => Semaphore.create(testName(), value)).toThrow(refused);
    expect(() => Semaphore.at(memory, 32, value)).toThrow(refused);
    expect(() => semaphore.reset(value)).toThrow(refused);
  }
  expect(semaphore.value).toBe(3);
});

test("Semaphore.at(): shared through memory, reset by its owner", () => {
  const name = testName();
  using memory = SharedMemory.create(name, 128);
  try {
    using other = SharedMemory.open(name);
    const one = Semaphore.at(memory, 64, 0);
    const two = Semaphore.at(other, 64);
    two.post();
    two.post();
    expect(one.value).toBe(2);
    one.reset(0);
    expect(two.tryWait()).toBe(false);
    expect(memory.bytes.subarray(0, 64).every((byte) => byte === 0)).toBe(true);
    expect(memory.bytes.subarray(96).every((byte) => byte === 0)).toBe(true);
  } finally {
    memory.unlink();
  }
});

test("Semaphore.at() refuses places where none fits, read-only and closed memory", () => {
  const name = testName();
  const memory = SharedMemory.create(name, 64);
  try {
    for (const offset of [-8, 4, 40, 64, 0.5]) expect(() => Semaphore.at(memory, offset, 0)).toThrow(RangeError);
    using readOnly = SharedMemory.open(name, { readOnly: true });
    expect(() => Semaphore.at(readOnly, 0)).toThrow(expect.objectContaining({ code: "EACCES" }));
    const semaphore = Semaphore.at(memory, 0, 1);
    memory.close();
    expect(() => semaphore.tryWait()).toThrow("has been closed");
    expect(() => semaphore.post()).toThrow("has been closed");
  } finally {
    memory.unlink();
    memory.close();
  }
});

test("Semaphore.wait() waits at least as long as asked", () => {
  using memory = SharedMemory.anonymous(32);
  using semaphore = Semaphore.at(memory, 0, 0);
  const start = performance.now();
  expect(semaphore.wait({ timeoutMs: 1100 })).toBe(false); // longer than one slice
  expect(performance.now() - start).toBeGreaterThanOrEqual(1100);
  semaphore.post();
  expect(semaphore.wait({ timeoutMs: Number.POSITIVE_INFINITY })).toBe(true);
});

test("Semaphore.waitAsync() lets the event loop run, times out, and obeys its signal", async () => {
  using memory = SharedMemory.anonymous(32);
  using semaphore = Semaphore.at(memory, 0, 0);
  setTimeout(() => semaphore.post(), 15);
  expect(await watchdog(semaphore.waitAsync(), "waitAsync")).toBe(true);
  expect(await watchdog(semaphore.waitAsync({ timeoutMs: 15 }), "waitAsync")).toBe(false);
  const signal = AbortSignal.timeout(5);
  expect(
    await watchdog(
      semaphore.waitAsync({ signal }).catch((e: Error) => e.name),
      "abort",
    ),
  ).toBe("TimeoutError");
  semaphore.post();
  expect(semaphore.value).toBe(1);
});
