import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readlinkSync, writeFileSync } from "node:fs";
import { testName, watchdog } from "../test/names.ts";
import { Doorbell, DoorbellRinger } from "./doorbell.ts";
import { pathOf } from "./object-name.ts";
import { Semaphore } from "./semaphore.ts";
import { SharedMemory } from "./shared-memory.ts";

setDefaultTimeout(60_000); // the watchdogs are faster, and say what hangs

const SOURCE = JSON.stringify(new URL("./index.ts", import.meta.url).pathname);

/** A sleeper in another process that answers every post of the semaphore at 64 by one at 128, ringing the bell at 4. */
const ECHO = `
  import { Doorbell, DoorbellRinger, Semaphore, SharedMemory, objectName } from ${SOURCE};
  const [memoryName, here, there, rounds] = process.argv.slice(-4);
  const memory = SharedMemory.open(objectName(memoryName));
  const asked = Semaphore.at(memory, 64), answered = Semaphore.at(memory, 128);
  const back = DoorbellRinger.open({ name: objectName(there), flag: { memory, offset: 4 } });
  let left = Number(rounds);
  const bell = Doorbell.listen({ name: objectName(here), flag: { memory, offset: 0 }, look() {
    if (!asked.tryWait()) return false;
    left -= 1;
    answered.post();
    back.ring();
    if (left === 0) { console.log(JSON.stringify({ lost: bell.lostWakeups })); bell.close(); back.close(); }
    return true;
  } });
  console.log("ready");
`;

test("Doorbell wakes an event loop in another process, and that process ends once its bell is closed", async () => {
  const [memoryName, here, there] = [testName("-m"), testName("-here"), testName("-there")];
  const rounds = 5_000;
  using memory = SharedMemory.create(memoryName, 192);
  const asked = Semaphore.at(memory, 64, 0);
  const answered = Semaphore.at(memory, 128, 0);
  using bell = Doorbell.listen({ name: here, flag: { memory, offset: 4 } });
  const child = Bun.spawn([process.execPath, "-e", ECHO, memoryName, there, here, `${rounds}`], { stderr: "inherit" });
  try {
    const output = child.stdout.getReader();
    expect(new TextDecoder().decode((await watchdog(output.read(), "start")).value)).toBe("ready\n");
    using ringer = DoorbellRinger.open({ name: there, flag: { memory, offset: 0 } });
    for (let round = 0; round < rounds; round++) {
      asked.post();
      ringer.ring();
      expect(await watchdog(answered.waitAsync({ doorbell: bell }), `round ${round}`)).toBe(true);
    }
    expect(new TextDecoder().decode((await output.read()).value)).toBe('{"lost":0}\n');
    expect(await watchdog(child.exited, "the child")).toBe(0);
    expect(bell.lostWakeups).toBe(0);
    expect(bell.rings).toBeGreaterThan(0);
    expect(existsSync(pathOf(there))).toBe(false);
    Atomics.store(memory.i32, 0, 1); // as if it slept: the ring meets nobody
    expect(ringer.ring()).toBe(false);
    expect(ringer.gone).toBe(true);
  } finally {
    child.kill("SIGKILL");
    memory.unlink();
    Doorbell.unlink(there);
  }
});

test("Doorbell over an eventfd handed down by descriptor", async () => {
  using memory = SharedMemory.anonymous(64);
  const eventfd = Doorbell.createEventfd();
  const script = `
    import { Doorbell, SharedMemory } from ${SOURCE};
    const memory = SharedMemory.fromDescriptor(3);
    const bell = Doorbell.listen({ fildes: 4, flag: { memory, offset: 0 }, look() {
      if (Atomics.exchange(memory.i32, 1, 0) === 0) return false;
      console.log("woken");
      bell.close();
      return true;
    } });
    console.log("ready");
  `;
  const child = Bun.spawn([process.execPath, "-e", script], {
    stdio: ["ignore", "pipe", "inherit", memory.fildes!, eventfd],
  });
  const output = (child.stdout as ReadableStream<Uint8Array>).getReader();
  expect(new TextDecoder().decode((await watchdog(output.read(), "start")).value)).toBe("ready\n");
  using ringer = DoorbellRinger.open({ fildes: eventfd, flag: { memory, offset: 0 } });
  Atomics.store(memory.i32, 1, 1);
  expect(ringer.ring()).toBe(true);
  expect(new TextDecoder().decode((await watchdog(output.read(), "ring")).value)).toBe("woken\n");
  expect(await watchdog(child.exited, "the child")).toBe(0);
});

test("Doorbell.close() frees its descriptors, removes its FIFO and ends the reader", async () => {
  using memory = SharedMemory.anonymous(4);
  const names: string[] = [];
  const fifos = (): number =>
    readdirSync("/proc/self/fd").filter((fildes) => {
      try {
        const link = readlinkSync(`/proc/self/fd/${fildes}`);
        return names.some((name) => link.includes(name));
      } catch {
        return false;
      }
    }).length;
  for (let life = 0; life < 50; life++) {
    const name = testName();
    names.push(name);
    const bell = Doorbell.listen({ name, flag: { memory, offset: 0 } });
    expect(fifos()).toBeGreaterThan(0);
    expect(Atomics.load(memory.i32, 0)).toBe(1);
    bell.close();
    bell.close();
    expect(Atomics.load(memory.i32, 0)).toBe(0);
    expect(existsSync(pathOf(name))).toBe(false);
  }
  const closed = async (): Promise<void> => {
    while (fifos() > 0) await Bun.sleep(5);
  };
  await watchdog(closed(), "closing the duplicates");
});

test("Doorbell.listen() refuses a taken name, DoorbellRinger.open() what is not a living bell", () => {
  using memory = SharedMemory.anonymous(8);
  const name = testName();
  const flag = { memory, offset: 0 };
  expect(() => DoorbellRinger.open({ name, flag })).toThrow(expect.objectContaining({ code: "ENOENT" }));
  using bell = Doorbell.listen({ name, flag });
  expect(() => Doorbell.listen({ name, flag })).toThrow(expect.objectContaining({ code: "EEXIST" }));
  expect(existsSync(pathOf(name))).toBe(true);
  for (const offset of [2, 8, -4]) {
    expect(() => DoorbellRinger.open({ name, flag: { memory, offset } })).toThrow(RangeError);
  }
  bell.close();
  writeFileSync(pathOf(name), "");
  expect(() => DoorbellRinger.open({ name, flag })).toThrow(expect.objectContaining({ code: "EACCES" }));
  expect(Doorbell.unlink(name)).toBe(true);
  expect(Doorbell.unlink(name)).toBe(false);
});

test("Doorbell lets the event loop run although there is always work, and is quiet while awake", async () => {
  using memory = SharedMemory.anonymous(4);
  const name = testName();
  let looks = 0;
  let done = false;
  using bell = Doorbell.listen({
    name,
    flag: { memory, offset: 0 },
    look() {
      looks += 1;
      return !done;
    },
  });
  using ringer = DoorbellRinger.open({ name, flag: { memory, offset: 0 } });
  await watchdog(Bun.sleep(10), "a timer beside a busy bell");
  expect(looks).toBeGreaterThan(16);
  expect(ringer.ring()).toBe(false);
  done = true;
  await Bun.sleep(10);
  expect(ringer.ring()).toBe(true);
  expect(ringer.ring()).toBe(false);
  expect(bell.lostWakeups).toBe(0);
});

test("Doorbell finds and counts work that nobody rang for, whether the flag was left or taken", async () => {
  using memory = SharedMemory.anonymous(4);
  let work = 0;
  using bell = Doorbell.listen({
    name: testName(),
    flag: { memory, offset: 0 },
    sweepMs: 5,
    look: () => work > 0 && work-- > 0,
  });
  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) await Bun.sleep(1);
  };
  expect(bell.lostWakeups).toBe(0);
  work = 1;
  await watchdog(
    until(() => bell.lostWakeups === 1),
    "the first lost wake-up",
  );
  expect(work).toBe(0);
  work = 1;
  Atomics.store(memory.i32, 0, 0); // a waker that died between taking the flag and ringing
  await watchdog(
    until(() => bell.lostWakeups === 2),
    "the second lost wake-up",
  );
  expect(work).toBe(0);
  expect(Atomics.load(memory.i32, 0)).toBe(1);
  expect(bell.rings).toBe(0);
});

test("Doorbell.look() passes on what a look throws, and works on", () => {
  using memory = SharedMemory.anonymous(4);
  let fault: Error | undefined;
  using bell = Doorbell.listen({
    name: testName(),
    flag: { memory, offset: 0 },
    look() {
      if (fault !== undefined) throw fault;
      return false;
    },
  });
  fault = new Error("our bug");
  expect(() => bell.look()).toThrow("our bug");
  fault = undefined;
  bell.look();
  expect(Atomics.load(memory.i32, 0)).toBe(1);
});

test("Doorbell.close() ends what waits for it with an error", async () => {
  using memory = SharedMemory.anonymous(64);
  const semaphore = Semaphore.at(memory, 0, 0);
  const bell = Doorbell.listen({ name: testName("-bell"), flag: { memory, offset: 32 } });
  const waits = [semaphore.waitAsync({ doorbell: bell }), semaphore.waitAsync({ doorbell: bell, timeoutMs: 60_000 })];
  bell.close();
  for (const outcome of await watchdog(Promise.allSettled(waits), "the waits")) {
    expect(outcome).toMatchObject({ reason: { message: expect.stringContaining("it has been closed") } });
  }
  await expect(semaphore.waitAsync({ doorbell: bell })).rejects.toThrow("it has been closed");
});

test("Doorbell.listen() and DoorbellRinger.open() refuse a flag in read-only memory", () => {
  const name = testName("-bell");
  using memory = SharedMemory.anonymous(64);
  memory.seal();
  const flag = { memory, offset: 0 };
  const refused = expect.objectContaining({ code: "EACCES" });
  expect(() => Doorbell.listen({ name, flag })).toThrow(refused);
  expect(() => DoorbellRinger.open({ name, flag })).toThrow(refused);
  expect(existsSync(pathOf(name))).toBe(false);
});

test("Doorbell.listen() closes its descriptor once when its first look throws", () => {
  const name = testName("-bell");
  using memory = SharedMemory.anonymous(64);
  const look = () => {
    throw new Error("from the look");
  };
  expect(() => Doorbell.listen({ name, flag: { memory, offset: 0 }, look })).toThrow("from the look");
  expect(existsSync(pathOf(name))).toBe(false);
});
