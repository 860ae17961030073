import { expect, setDefaultTimeout, test } from "bun:test";
import { watchdog } from "../test/names.ts";
import { expectWhole, filesOf, runLimited, take, takeAll, withPool } from "../test/pools.ts";
import type { PoolMember } from "./pool-member.ts";
import { SEGMENT_PREFIX_BYTES, type Segment } from "./segment.ts";
import { SegmentPool } from "./segment-pool.ts";

setDefaultTimeout(120_000); // the watchdogs are faster, and say what hangs

test("PoolMember.giveBack() refuses a second time, also when the same id has been taken again since", async () => {
  await withPool({ segments: 1 }, (pool, prefix) => {
    const member = pool.join();
    const first = take(member);
    member.giveBack(first);
    const refused = expect.objectContaining({ code: "ERR_IPC_NOT_HELD" });
    expect(() => member.giveBack(first)).toThrow(refused);
    const second = take(member);
    expect(second.id).toBe(first.id);
    expect(() => member.giveBack(first)).toThrow(refused);
    expect(() => member.replace(first)).toThrow(refused);
    using otherPool = SegmentPool.open(prefix);
    const other = otherPool.join();
    expect(() => other.giveBack(second)).toThrow(refused);
    expect([member.held, other.held]).toEqual([1, 0]);
    member.giveBack(second);
    expect([member.held, other.held]).toEqual([0, 0]);
    expect([member.refusedGiveBacks, other.refusedGiveBacks]).toEqual([3, 1]);
    expect(pool.counters()).toMatchObject({ free: 1, giveBacks: 2, refusedGiveBacks: 4 });
    other.close();
    expectWhole(pool);
  });
});

test("PoolMember.take() serves in order, times out, obeys its signal, and is refused by close()", async () => {
  await withPool({ segments: 1 }, async (pool) => {
    const member = pool.join();
    const only = take(member);
    const order: number[] = [];
    const first = member.take().then((segment) => {
      order.push(1);
      return segment;
    });
    const second = member.take().then((segment) => {
      order.push(2);
      return segment;
    });
    const start = performance.now();
    expect(await watchdog(member.take({ timeoutMs: 20 }), "a take with a time-out")).toBeUndefined();
    expect(performance.now() - start).toBeGreaterThanOrEqual(19);
    const reason = new Error("enough");
    expect(
      await watchdog(
        member.take({ signal: AbortSignal.abort(reason) }).catch((e) => e),
        "aborted",
      ),
    ).toBe(reason);
    const controller = new AbortController();
    const aborted = member.take({ signal: controller.signal }).catch((error) => error);
    controller.abort(reason);
    expect(await watchdog(aborted, "an abort")).toBe(reason);
    expect(member.contended).toBe(true);
    expect(pool.counters().waiting).toBe(1);
    expect(member.tryTake()).toBeUndefined();
    member.giveBack(only);
    member.giveBack((await watchdog(first, "the first take"))!);
    const last = (await watchdog(second, "the second take"))!;
    expect(order).toEqual([1, 2]);
    expect(pool.counters().waiting).toBe(0);
    const pending = member.take().catch((error) => error);
    member.close();
    expect(await watchdog(pending, "a take at close")).toMatchObject({ message: expect.stringContaining("closed") });
    expect(() => member.giveBack(last)).toThrow("closed");
    expect(() => member.tryTake()).toThrow("closed");
    expect(pool.counters()).toMatchObject({ free: 1, replaced: 1, waiting: 0 });
    expectWhole(pool);
  });
});

test("PoolMember.take() takes turns with other members, and nobody overtakes", async () => {
  await withPool({ segments: 2 }, async (pool, prefix) => {
    using otherPool = SegmentPool.open(prefix);
    const [one, two] = [pool.join(), otherPool.join()];
    const held = [take(one), take(one)];
    const order: string[] = [];
    const waitBy = (member: PoolMember, who: string): Promise<Segment> =>
      member.take().then((segment) => {
        order.push(who);
        return segment!;
      });
    const waits = [waitBy(two, "two"), waitBy(one, "one"), waitBy(two, "two again"), waitBy(two, "two at last")];
    one.giveBack(held[0]!);
    const first = await watchdog(waits[0]!, "the first wait");
    expect(two.tryTake()).toBeUndefined();
    one.giveBack(held[1]!); // one's own turn: it stands before two's second
    const second = await watchdog(waits[1]!, "the second wait");
    two.giveBack(first);
    one.giveBack(second);
    const rest = await watchdog(Promise.all(waits.slice(2)), "the rest");
    expect(order).toEqual(["two", "one", "two again", "two at last"]);
    for (const segment of rest) two.giveBack(segment);
    two.close();
    expectWhole(pool);
  });
});

test("PoolMember: an idle member's stock does not keep others waiting", async () => {
  await withPool({ segments: 64 }, async (pool, prefix) => {
    using otherPool = SegmentPool.open(prefix);
    const [idle, busy] = [pool.join(), otherPool.join()];
    idle.giveBack(take(idle)); // keeps it, and some more
    const all = takeAll(busy);
    expect(all).toHaveLength(64);
    for (const segment of all) busy.giveBack(segment);
    const some = takeAll(idle);
    expect(some).toHaveLength(64);
    const waiting = Promise.all([busy.take(), busy.take()]);
    idle.giveBack(some.pop()!);
    idle.giveBack(some.pop()!);
    expect(new Set((await watchdog(waiting, "both")).map((segment) => segment?.id)).size).toBe(2);
  });
});

test("PoolMember.replace() fences: the late writer keeps memory that nobody else sees", async () => {
  await withPool({ segments: 1 }, (pool, prefix) => {
    using cacheSide = SegmentPool.open(prefix);
    const member = pool.join();
    const segment = take(member);
    const { id, generation } = segment;
    const late = cacheSide.segment(id, generation);
    expect(late?.bytes.length).toBe(4096);
    expect(cacheSide.segment(id, generation)).toBe(late!);
    const lateBytes = late!.bytes;
    member.replace(segment);
    lateBytes.fill(7, SEGMENT_PREFIX_BYTES); // still mapped: the cache has not asked for the segment since
    const fresh = take(member);
    expect([fresh.id, fresh.generation]).toEqual([id, generation + 1]);
    expect(fresh.bytes.subarray(SEGMENT_PREFIX_BYTES).every((byte) => byte === 0)).toBe(true);
    expect(cacheSide.segment(id, generation)).toBeUndefined();
    const again = cacheSide.segment(id, generation + 1)!;
    expect(lateBytes.length).toBe(0); // the old generation has been unmapped
    again.bytes[100] = 9;
    expect(fresh.bytes[100]).toBe(9);
    for (const [badId, badGeneration] of [
      [1, 1],
      [-1, 1],
      [0.5, 1],
      [0, 99],
      [0, 0],
    ] as const) {
      expect(cacheSide.segment(badId, badGeneration)).toBeUndefined();
    }
    expect(filesOf(prefix).filter((file) => file.includes(".seg."))).toEqual([
      `${prefix.slice(1)}.seg.${id}.${generation + 1}`,
    ]);
    member.giveBack(fresh);
  });
});

test("PoolMember.tryTake() without a descriptor left: EMFILE, and the segment stays in the pool", async () => {
  await withPool({ segments: 3 }, async (pool, prefix) => {
    const script = `
      const eaten = [];
      for (;;) try { eaten.push(openSync("/dev/null")) } catch { break }
      let code;
      try { member.tryTake() } catch (error) { code = error.code }
      for (const fildes of eaten) closeSync(fildes);
      await Bun.sleep(20);
      const segments = [member.tryTake(), member.tryTake(), member.tryTake()];
      console.log(code, new Set(segments.map((segment) => segment?.id)).size);
      for (const segment of segments) member.giveBack(segment);
    `;
    expect(await runLimited("-n 100", prefix, script)).toBe("EMFILE 3");
    expectWhole(pool);
  });
});
