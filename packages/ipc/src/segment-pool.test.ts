import { expect, setDefaultTimeout, test } from "bun:test";
import { testName, watchdog } from "../test/names.ts";
import type { PoolUserTask } from "../test/pool-user.worker.ts";
import { expectWhole, filesOf, runLimited, SOURCE, take, takeAll, withPool } from "../test/pools.ts";
import { MessageQueue } from "./message-queue.ts";
import { objectName } from "./object-name.ts";
import { SEGMENT_PREFIX_BYTES } from "./segment.ts";
import { SegmentPool } from "./segment-pool.ts";
import { SharedMemory } from "./shared-memory.ts";

setDefaultTimeout(120_000); // the watchdogs are faster, and say what hangs

test("SegmentPool hands out each segment once, mapped and marked, at every size", async () => {
  for (const segments of [1, 2, 15, 16, 64, 300, 1024, 2048]) {
    await withPool({ segments, segmentBytes: 4096 }, (pool) => {
      const member = pool.join();
      const all = takeAll(member);
      expect(all.map((segment) => segment.id).sort((a, b) => a - b)).toEqual(
        Array.from({ length: segments }, (_, i) => i),
      );
      for (const segment of all) {
        expect(segment.memory.length).toBe(4096);
        expect(segment.generation).toBe(1);
        expect([...segment.i32.subarray(8, 11)]).toEqual([0x4d474553, segment.id, 1]);
        expect(segment.semaphore.value).toBe(0);
        segment.bytes.fill(0xff, SEGMENT_PREFIX_BYTES);
      }
      expect(pool.counters()).toMatchObject({ free: 0, held: segments, takes: segments, giveBacks: 0 });
      for (const segment of all) member.giveBack(segment);
      expect(pool.counters()).toMatchObject({ free: segments, held: 0, takes: segments, giveBacks: segments });
      expectWhole(pool);
    });
  }
});

test("SegmentPool.create() refuses a taken prefix and bad sizes, and undoes what it began", async () => {
  await withPool({ segments: 4 }, (_, prefix) => {
    const files = filesOf(prefix);
    expect(() => SegmentPool.create(prefix, { segments: 4, segmentBytes: 4096 })).toThrow(
      expect.objectContaining({ code: "EEXIST" }),
    );
    expect(filesOf(prefix)).toEqual(files);
  });
  const prefix = testName();
  using blocker = MessageQueue.create(objectName(`${prefix}.free`), { maxmsg: 1, msgsize: 8 });
  try {
    expect(() => SegmentPool.create(prefix, { segments: 4, segmentBytes: 4096 })).toThrow(
      expect.objectContaining({ code: "EEXIST" }),
    );
  } finally {
    blocker.unlink();
  }
  for (const [segments, segmentBytes] of [
    [0, 4096],
    [2049, 4096],
    [1.5, 4096],
    [4, 63],
    [4, 2 ** 31],
  ] as const) {
    expect(() => SegmentPool.create(prefix, { segments, segmentBytes })).toThrow(RangeError);
  }
  expect(() => SegmentPool.create(objectName(`/${"x".repeat(240)}`), { segments: 1, segmentBytes: 64 })).toThrow(
    "bytes",
  );
  expect(filesOf(prefix)).toEqual([]);
  expect(() => SegmentPool.open(prefix)).toThrow(expect.objectContaining({ code: "ENOENT" }));
});

test("SegmentPool.open() refuses what is half made, foreign, or of another version", () => {
  const prefix = testName();
  using table = SharedMemory.create(objectName(`${prefix}.pool`), 65536, { registered: false });
  try {
    const code = (): unknown => {
      try {
        SegmentPool.open(prefix).close();
      } catch (error) {
        return (error as { code?: string }).code;
      }
    };
    expect(code()).toBe("ERR_IPC_POOL_NOT_READY");
    table.i32[4] = 1;
    expect(code()).toBe("ERR_IPC_POOL_LAYOUT");
    table.i32[0] = 0x4c4f4f50;
    table.i32[1] = 99;
    expect(code()).toBe("ERR_IPC_POOL_LAYOUT");
  } finally {
    SegmentPool.unlinkAll(prefix);
  }
  expect(filesOf(prefix)).toEqual([]);
});

test("SegmentPool.picture() shows what each segment is doing, without a word written, however often it is looked at", async () => {
  await withPool({ segments: 6 }, (pool, prefix) => {
    const member = pool.join();
    const held = [member.tryTake()!, member.tryTake()!];
    const states = () => SegmentPool.picture(prefix)!.states;
    expect(held.map(({ id }) => states()[id])).toEqual(["held", "held"]);
    expect(states().filter((state) => state === "held")).toHaveLength(2);
    member.giveBack(held[0]!);
    expect(["stocked", "queued"]).toContain(states()[held[0]!.id]!);
    // Optimised code must not write either: it would end the process.
    for (let round = 0; round < 3000; round++) SegmentPool.picture(prefix);
    expect(SegmentPool.picture(prefix)).toMatchObject({ segmentBytes: 4096, waiting: 0, replaced: 0 });
    member.close();
    expect(states()).toEqual(Array.from({ length: 6 }, () => "queued"));
  });
  expect(SegmentPool.picture(testName())).toBeUndefined();
});

test("SegmentPool makes a segment anew whose file somebody has removed", async () => {
  await withPool({ segments: 1 }, async (pool, prefix) => {
    SharedMemory.unlink(objectName(`${prefix}.seg.0.1`));
    const member = pool.join();
    expect(() => member.tryTake()).toThrow(expect.objectContaining({ code: "ENOENT" }));
    const segment = await watchdog(member.take(), "the next take");
    expect(segment?.generation).toBe(2);
    member.giveBack(segment!);
    expectWhole(pool);
  });
});

test("SegmentPool.unlink() finds a segment of an impossible generation, which somebody has written into the table", () => {
  const prefix = testName();
  using pool = SegmentPool.create(prefix, { segments: 1, segmentBytes: 64 });
  try {
    using member = pool.join();
    using table = SharedMemory.open(objectName(`${prefix}.pool`));
    const segment = member.tryTake();
    table.i32[table.length / 4 - 1] = -7; // the last word is the generation of the last id
    member.replace(segment!);
    expect(filesOf(prefix)).toContain(`${prefix.slice(1)}.seg.0.-6`);
  } finally {
    pool.unlink();
  }
  expect(filesOf(prefix)).toEqual([]);
});

test("SegmentPool.unlink(): no object is made afterwards, whatever members still do", async () => {
  await withPool({ segments: 4 }, async (pool, prefix) => {
    using otherPool = SegmentPool.open(prefix);
    const member = otherPool.join();
    const [one, two] = [take(member), take(member)];
    pool.unlink();
    pool.unlink();
    member.replace(one);
    expect(pool.counters()).toMatchObject({ missing: 1, held: 1, free: 2 });
    expect(await member.take({ timeoutMs: 1000, signal: AbortSignal.timeout(1000) }).catch((e) => e.code)).toBe(
      "ENOENT",
    );
    expect(two.bytes.length).toBe(4096);
    otherPool.close();
    expect(filesOf(prefix)).toEqual([]);
    expect(() => SegmentPool.open(prefix)).toThrow(expect.objectContaining({ code: "ENOENT" }));
  });
});

test("SegmentPool repairs a queue that somebody has emptied or put nonsense into", async () => {
  await withPool({ segments: 8 }, (pool, prefix) => {
    using queue = MessageQueue.open(objectName(`${prefix}.free`));
    const into = new Uint8Array(queue.msgsize);
    while (queue.tryReceive(into) !== undefined);
    expectWhole(pool);
    while (queue.trySend(new Uint8Array(new Uint16Array([3, 3, 3, 500, 65535, 0]).buffer)));
    expectWhole(pool);
  });
});

test("SegmentPool.reclaimMember() fences a member that is taken for dead; its late give-back is refused", async () => {
  await withPool({ segments: 3 }, async (pool, prefix) => {
    using otherPool = SegmentPool.open(prefix);
    const zombie = otherPool.join();
    const [one, two] = [take(zombie), take(zombie)];
    zombie.giveBack(two);
    const lateBytes = one.bytes;
    expect(pool.reclaimMember(zombie.slot)).toBeGreaterThanOrEqual(1);
    expect(pool.reclaimMember(zombie.slot)).toBe(0);
    expect(pool.reclaimMember(99)).toBe(0);
    expect(() => zombie.giveBack(one)).toThrow(expect.objectContaining({ code: "ERR_IPC_NOT_HELD" }));
    expect(await zombie.take({ timeoutMs: 1000 }).catch((error) => error.code)).toBe("ERR_IPC_EVICTED");
    expectWhole(pool);
    const member = pool.join();
    expect(member.slot).toBe(zombie.slot); // the next life of the slot
    const all = takeAll(member);
    lateBytes.fill(1, SEGMENT_PREFIX_BYTES);
    for (const segment of all)
      expect(segment.bytes.subarray(SEGMENT_PREFIX_BYTES).every((byte) => byte === 0)).toBe(true);
    zombie.close();
    expect(pool.counters()).toMatchObject({ held: 3, free: 0 });
    for (const segment of all) member.giveBack(segment);
    expect(pool.counters()).toMatchObject({ held: 0, free: 3, missing: 0 });
  });
});

test("SegmentPool.reclaimMember() refuses a slot that there is not, and touches nothing", () => {
  using pool = SegmentPool.create(testName(), { segments: 4, segmentBytes: 64 });
  try {
    using member = pool.join();
    const segments = [member.tryTake(), member.tryTake()];
    expect(segments).not.toContain(undefined);
    for (const slot of [-1, 0.5, Number.NaN, 256, 257]) expect(() => pool.reclaimMember(slot)).toThrow(RangeError);
    expect(pool.counters()).toMatchObject({ free: 2, held: 2 });
  } finally {
    pool.unlink();
  }
});

test("SegmentPool.reclaim() gets segments back from a killed process; who waits reclaims by itself", async () => {
  await withPool({ segments: 5 }, async (pool, prefix) => {
    const script = `
      import { SegmentPool, objectName } from ${SOURCE};
      const member = SegmentPool.open(objectName(${JSON.stringify(prefix)})).join();
      for (let i = 0; i < 5; i++) member.tryTake();
      member.take().then(() => console.log("impossible"));
      console.log("holding");
    `;
    for (const byWaiting of [false, true]) {
      const child = Bun.spawn([process.execPath, "-e", script], { stderr: "inherit" });
      const { value } = await watchdog(child.stdout.getReader().read(), "the child");
      expect(new TextDecoder().decode(value)).toBe("holding\n");
      expect(pool.counters()).toMatchObject({ held: 5, waiting: 1 });
      expect(pool.reclaim()).toBe(0);
      const member = pool.join();
      const waiting = byWaiting ? member.take() : undefined;
      child.kill("SIGKILL");
      await child.exited;
      if (waiting === undefined) expect(pool.reclaim()).toBe(5);
      else member.giveBack((await watchdog(waiting, "the take"))!);
      member.close();
      expect(pool.counters()).toMatchObject({ held: 0, free: 5, waiting: 0 });
      expectWhole(pool);
    }
    expect(filesOf(prefix).filter((file) => file.includes(".bell."))).toEqual([]);
  });
});

test("SegmentPool among Workers: no segment has two holders, nobody starves, and an ended Worker's are reclaimed", async () => {
  for (const segments of [3, 40]) {
    await withPool({ segments }, async (pool, prefix) => {
      const workers = Array.from({ length: 5 }, (_, index) => {
        const worker = new Worker(new URL("../test/pool-user.worker.ts", import.meta.url));
        const task: PoolUserTask = { prefix, mark: index + 1, rounds: 4_000, leave: index > 0 };
        const done = new Promise((resolve, reject) => {
          worker.addEventListener("message", () => resolve(undefined));
          worker.addEventListener("error", (event) => reject(new Error(event.message)));
        });
        const closed = new Promise((resolve) => worker.addEventListener("close", resolve));
        worker.postMessage(task);
        return { worker, done, closed };
      });
      await watchdog(Promise.all(workers.map(({ done }) => done)), "the Workers", 60_000);
      expect(pool.counters()).toMatchObject({
        held: 2,
        waiting: 0,
        takes: 20_002,
        giveBacks: 20_000,
        refusedGiveBacks: 0,
      });
      for (const { worker } of workers) worker.terminate();
      await watchdog(Promise.all(workers.map(({ closed }) => closed)), "their ends");
      const ended = async (): Promise<void> => {
        while (pool.reclaim() === 0 && pool.counters().held > 0) await Bun.sleep(5); // its thread goes a moment later
      };
      await watchdog(ended(), "the ended Worker's thread");
      expectWhole(pool);
    });
  }
});

test("SegmentPool whose mutex is kept by a stopped process: nobody hangs, and all is whole when that one dies", async () => {
  await withPool({ segments: 64 }, async (pool, prefix) => {
    const member = pool.join();
    const segment = take(member); // and some more ids kept ready
    const script = `
      import { Mutex, objectName, SharedMemory } from ${SOURCE};
      const table = SharedMemory.open(objectName(${JSON.stringify(`${prefix}.pool`)}));
      Mutex.at(table, 64).tryLock();
      console.log("locked");
      process.kill(process.pid, "SIGSTOP");
    `;
    const child = Bun.spawn([process.execPath, "-e", script], { stderr: "inherit" });
    try {
      await watchdog(child.stdout.getReader().read(), "the child");
      const kept = takeAll(member);
      expect(kept.length).toBeGreaterThan(0);
      expect(kept.length).toBeLessThan(63);
      expect(await watchdog(member.take({ timeoutMs: 50 }), "a take")).toBeUndefined();
      member.giveBack(segment);
      for (const other of kept) member.giveBack(other);
      expect(() => pool.join()).toThrow(expect.objectContaining({ code: "ERR_IPC_POOL_BUSY" }));
      const waiting = member.take({ timeoutMs: 10_000 });
      child.kill("SIGKILL");
      member.replace((await watchdog(waiting, "the take"))!);
      member.close();
      expectWhole(pool);
    } finally {
      child.kill("SIGKILL");
    }
  });
});

test("SegmentPool goes on one smaller when a segment can not be made anew, and gets it back later", async () => {
  await withPool({ segments: 3, segmentBytes: 65536 }, async (pool, prefix) => {
    const script = `
      member.replace(member.tryTake());
      console.log(JSON.stringify(pool.counters()));
    `;
    // A limit on file sizes refuses the new object as a full /dev/shm would.
    const counters = JSON.parse(await runLimited("-f 8", prefix, script));
    expect(counters).toMatchObject({ free: 2, held: 0, missing: 1, replaced: 0 });
    expect(filesOf(prefix).filter((file) => file.includes(".seg."))).toHaveLength(2);
    expect(pool.reclaim()).toBe(0);
    expect(pool.counters()).toMatchObject({ free: 3, missing: 0 });
    expectWhole(pool);
  });
});
