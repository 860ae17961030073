import { expect, test } from "bun:test";
import { testName } from "../test/names.ts";
import { after, Deadline } from "./deadline.ts";
import { Ring } from "./ring.ts";
import { SegmentPool } from "./segment-pool.ts";
import { Semaphore } from "./semaphore.ts";
import { SharedMemory } from "./shared-memory.ts";

test("after() acts once its time has passed, unless it was taken back", async () => {
  const start = performance.now();
  let acts = 0;
  const cancel = after(20, () => expect.unreachable());
  cancel();
  await new Promise<void>((resolve) => {
    after(40, () => {
      acts += 1;
      resolve();
    });
  });
  expect(performance.now() - start).toBeGreaterThanOrEqual(39);
  await Bun.sleep(60);
  expect(acts).toBe(1);
});

// setTimeout makes 1 ms of everything from 2^31 ms on.
for (const timeoutMs of [2 ** 31, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY]) {
  test(`a wait of ${timeoutMs} ms is not over at once`, async () => {
    using memory = SharedMemory.anonymous(64);
    using ring = Ring.create(testName(), 64);
    using pool = SegmentPool.create(testName(), { segments: 1, segmentBytes: 64 });
    try {
      const semaphore = Semaphore.at(memory, 0, 0);
      const [reader, member] = [ring.reader(), pool.join()];
      const taken = member.tryTake();
      const over: string[] = [];
      const note = (what: string) => (): void => {
        over.push(what);
      };
      const waits = [
        semaphore.waitAsync({ timeoutMs }).finally(note("semaphore")),
        reader.readAsync(new Uint8Array(8), { timeoutMs }).finally(note("ring")),
        member.take({ timeoutMs }).finally(note("pool")),
      ];
      const cancel = after(timeoutMs, note("after"));
      await Bun.sleep(30);
      cancel();
      expect(taken).toBeDefined();
      expect(over).toEqual([]);
      semaphore.post();
      ring.close();
      member.close();
      const outcomes = await Promise.allSettled(waits);
      expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected"]);
    } finally {
      ring.unlink();
      pool.unlink();
    }
  });
}

test("NaN is no time to wait", async () => {
  using memory = SharedMemory.anonymous(64);
  const semaphore = Semaphore.at(memory, 0, 0);
  expect(() => new Deadline(Number.NaN)).toThrow(RangeError);
  await expect(semaphore.waitAsync({ timeoutMs: Number.NaN })).rejects.toThrow(RangeError);
});
