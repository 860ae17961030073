/** What is made of a pool whose users have all died, where there may be no memory for another: SegmentPool.takeOver(), and SharedMemory.takeOver() under it. */
import { expect, test } from "bun:test";
import { ftruncateSync, openSync, truncateSync } from "node:fs";
import { testName } from "../test/names.ts";
import { type ObjectName, objectName, pathOf } from "./object-name.ts";
import { readRegistry } from "./registry.ts";
import { segmentName } from "./segment.ts";
import { SegmentPool } from "./segment-pool.ts";
import { SharedMemory } from "./shared-memory.ts";

const SIZE = { segments: 40, segmentBytes: 8192 };

/** Makes a pool, holds two of its segments, keeps one ready, and waits for its end. */
const USER = `
  const { SegmentPool, objectName } = await import(${JSON.stringify(new URL("./index.ts", import.meta.url).pathname)});
  const pool = SegmentPool.create(objectName(process.argv[1]), ${JSON.stringify(SIZE)});
  const member = pool.join();
  const [one, two, three] = [member.tryTake(), member.tryTake(), member.tryTake()];
  member.giveBack(two);
  one.bytes[4096] = three.bytes[4096] = 1;
  console.log(JSON.stringify([one.id, three.id]));
  setInterval(() => {}, 1000);
`;

/** @param use Is given the ids that were held. */
async function withOrphanedPool(use: (prefix: ObjectName, held: number[]) => void): Promise<void> {
  const prefix = testName();
  const user = Bun.spawn([process.execPath, "-e", USER, prefix], { stdout: "pipe", stderr: "inherit" });
  try {
    const { value } = await user.stdout.getReader().read();
    user.kill("SIGKILL");
    await user.exited;
    use(prefix, JSON.parse(new TextDecoder().decode(value)));
  } finally {
    user.kill("SIGKILL");
    SegmentPool.unlinkAll(prefix);
  }
}

function takenFrom(pool: SegmentPool) {
  const member = pool.join();
  return Array.from({ length: SIZE.segments + 1 }, () => member.tryTake()).filter((segment) => segment !== undefined);
}

test("SegmentPool.takeOver() goes on with what nobody held, and makes anew what was held", () =>
  withOrphanedPool((prefix, held) => {
    using pool = SegmentPool.takeOver(prefix, SIZE)!;
    expect(pool.counters()).toMatchObject({ free: SIZE.segments, held: 0, missing: 0, replaced: 2 });
    const segments = takenFrom(pool);
    expect(segments.map(({ id }) => id).sort((one, other) => one - other)).toEqual([...Array(SIZE.segments).keys()]);
    expect(segments.filter(({ generation }) => generation > 1).map(({ id }) => id)).toEqual(
      expect.arrayContaining(held),
    );
    for (const { bytes } of segments) expect(bytes[4096]).toBe(0); // what was written is in memory that nobody else sees
    expect(readRegistry(prefix).map(({ maker, kind }) => [maker.pid, kind])).toEqual([[process.pid, "pool"]]);
  }));

test("SegmentPool.takeOver() replaces a segment that was cut short, made longer again or not", () =>
  withOrphanedPool((prefix) => {
    truncateSync(pathOf(segmentName(prefix, 20, 1)), 4096);
    const file = openSync(pathOf(segmentName(prefix, 21, 1)), "r+");
    ftruncateSync(file, 0);
    ftruncateSync(file, SIZE.segmentBytes);
    using pool = SegmentPool.takeOver(prefix, SIZE)!;
    expect(pool.counters()).toMatchObject({ free: SIZE.segments, replaced: 4 });
    expect(takenFrom(pool)).toHaveLength(SIZE.segments);
  }));

test("SegmentPool.takeOver() takes nothing over that is no pool of that size, cut, scribbled over, or unlinked", async () => {
  const refused = (spoil: (prefix: ObjectName) => void, size = SIZE) =>
    withOrphanedPool((prefix) => {
      spoil(prefix);
      expect(SegmentPool.takeOver(prefix, size)).toBeUndefined();
    });
  const table = (prefix: ObjectName) => objectName(`${prefix}.pool`);
  const scribble = (word: (words: Int32Array) => void) => (prefix: ObjectName) => {
    using memory = SharedMemory.open(table(prefix));
    word(memory.i32);
  };
  await refused(() => {}, { ...SIZE, segments: 41 });
  await refused(() => {}, { ...SIZE, segmentBytes: 4096 });
  await refused((prefix) => truncateSync(pathOf(table(prefix)), 4096));
  await refused((prefix) => SegmentPool.unlinkAll(prefix));
  await refused(scribble((words) => words.fill(0x3fff_ffff, words.length - 2 * SIZE.segments))); // states that there are none of
  await refused(scribble((words) => words.fill(-7, words.length - SIZE.segments))); // generations
  await refused(scribble((words) => words.fill(7, 0, 2)));
});

test("SharedMemory.takeOver() gives back what is there, of that length and whole, and it is this process's", () => {
  const name = testName();
  using made = SharedMemory.create(name, 12_288);
  try {
    made.bytes[9_000] = 9;
    expect(SharedMemory.takeOver(name, 12_287)).toBeUndefined();
    {
      using taken = SharedMemory.takeOver(name, 12_288)!;
      expect([taken.bytes[9_000], taken.length]).toEqual([9, 12_288]);
    }
    truncateSync(pathOf(name), 4096);
    expect(SharedMemory.takeOver(name, 12_288)).toBeUndefined();
    truncateSync(pathOf(name), 12_288); // of its pages only one is there
    expect(SharedMemory.takeOver(name, 12_288)).toBeUndefined();
  } finally {
    made.unlink();
  }
  expect(SharedMemory.takeOver(name, 12_288)).toBeUndefined();
});
