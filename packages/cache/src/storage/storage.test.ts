import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { StoredResponse } from "../stored-response.ts";
import { DroppedBodyError } from "./body-store.ts";
import { Loans } from "./loans.ts";
import { MemoryStorage } from "./memory-storage.ts";
import type { Storage } from "./storage.ts";
import { StoreDirectory } from "./store-directory.ts";
import { bytesOf, KIB, NO_EVENTS, openDisk, put, readAll, responsesIn, withDirectory } from "./test-support.ts";
import { TieredStorage } from "./tiered-storage.ts";

const LIMIT = 256 * KIB;

function removeAll(storage: Storage): void {
  for (const response of responsesIn(storage)) storage.invalidate(response.key, response);
}

/** What every tier has to keep, whatever it keeps it in. */
function storageContract(name: string, use: (test: (make: (onEvict?: () => void) => Storage) => void) => void) {
  describe(name, () => {
    test("gives back the bytes of each variant, and nothing for a key it does not have", () =>
      use((make) => {
        const storage = make();
        for (const length of [0, 1, 4096, 30_000]) put(storage, `/${length}`, bytesOf(length, length));
        put(storage, "/v", bytesOf(10, 1), "a");
        put(storage, "/v", bytesOf(20, 2), "b");
        for (const length of [0, 1, 4096, 30_000]) {
          const [stored] = storage.lookup(`/${length}`);
          expect(readAll(stored!.body)).toEqual(bytesOf(length, length));
        }
        expect(storage.lookup("/v").map((stored) => stored.bodyBytes)).toEqual([10, 20]);
        expect(storage.lookup("/none")).toEqual([]);
        storage.close();
      }));

    test("a variant that is stored again takes the place of the old one, which its readers keep", () =>
      use((make) => {
        const storage = make();
        const old = put(storage, "/a", bytesOf(5000, 1))!;
        old.body.retain();
        put(storage, "/a", bytesOf(100, 2));
        expect(storage.lookup("/a")).toHaveLength(1);
        expect(readAll(storage.lookup("/a")[0]!.body)).toEqual(bytesOf(100, 2));
        const into = new Uint8Array(5000);
        expect(old.body.read(0, into)).toBe(5000);
        expect(into).toEqual(bytesOf(5000, 1));
        old.body.release();
        storage.close();
      }));

    test("the limit holds at every moment; what is used stays", () =>
      use((make) => {
        let evictions = 0;
        const storage = make(() => evictions++);
        for (let index = 0; index < 100; index++) {
          put(storage, `/${index}`, bytesOf(20_000, index));
          expect(storage.usedBytes).toBeLessThanOrEqual(LIMIT);
          const [first] = storage.lookup("/0");
          if (first !== undefined) storage.touch(first, 1);
        }
        expect(evictions).toBeGreaterThan(80);
        expect(storage.lookup("/0")).toHaveLength(1);
        expect(storage.lookup("/1")).toHaveLength(0);
        expect(storage.lookup("/99")).toHaveLength(1);
        removeAll(storage);
        expect(storage.usedBytes).toBe(0);
        storage.close();
      }));

    test("a scan of ten times as much leaves what is in use, and takes no more than the limit", () =>
      use((make) => {
        const storage = make();
        const popular = Array.from({ length: 8 }, (_, index) => `/popular/${index}`);
        for (const key of popular) {
          const stored = put(storage, key, bytesOf(10_000, 1))!;
          for (let uses = 0; uses < 3; uses++) storage.touch(stored, 1);
        }
        for (let index = 0; index < 250; index++) {
          put(storage, `/scan/${index}`, bytesOf(10_000, index));
          expect(storage.usedBytes).toBeLessThanOrEqual(LIMIT);
        }
        expect(popular.filter((key) => storage.lookup(key).length === 1)).toEqual(popular);
        storage.close();
      }));

    test("an evicted or replaced body that is still read keeps its room until it is let go", () =>
      use((make) => {
        const storage = make();
        const held = put(storage, "/held", bytesOf(60_000, 1))!;
        held.body.retain();
        storage.invalidate("/held");
        expect(storage.usedBytes).toBeGreaterThanOrEqual(60_000);
        for (let index = 0; index < 50; index++) {
          put(storage, `/${index}`, bytesOf(20_000, index));
          expect(storage.usedBytes).toBeLessThanOrEqual(LIMIT);
        }
        const into = new Uint8Array(60_000);
        for (let at = 0; at < into.length; ) at += held.body.read(at, into.subarray(at));
        expect(into).toEqual(bytesOf(60_000, 1));
        const usedBytes = storage.usedBytes;
        held.body.release();
        expect(storage.usedBytes).toBeLessThanOrEqual(usedBytes - 60_000);
        removeAll(storage);
        expect(storage.usedBytes).toBe(0);
        storage.close();
      }));

    test("a body that was dropped while nobody held it can not be read, whatever has its place by now, and gives back its room once", () =>
      use((make) => {
        const storage = make();
        const { body } = put(storage, "/a", bytesOf(60_000, 1))!;
        storage.invalidate("/a");
        expect(storage.usedBytes).toBe(0);
        put(storage, "/a", bytesOf(60_000, 2));
        const { usedBytes } = storage;
        body.retain();
        expect(() => body.read(0, new Uint8Array(60_000))).toThrow(DroppedBodyError);
        expect(body.load?.(0, 60_000)).toBeUndefined();
        body.release();
        expect(storage.usedBytes).toBe(usedBytes);
        expect(readAll(storage.lookup("/a")[0]!.body)).toEqual(bytesOf(60_000, 2));
        storage.close();
      }));

    test("what is being read is not evicted, and takes no room from the limit", () =>
      use((make) => {
        const storage = make();
        const held = put(storage, "/held", bytesOf(20_000, 1))!;
        held.body.retain();
        for (let index = 0; index < 50; index++) put(storage, `/${index}`, bytesOf(20_000, index));
        expect(storage.has(held)).toBe(true);
        held.body.release();
        for (let index = 50; index < 150; index++) put(storage, `/${index}`, bytesOf(20_000, index));
        expect(storage.has(held)).toBe(false);
        storage.close();
      }));

    test("bodies that are arriving have their room, and one that finds none gives back what it took", () =>
      use((make) => {
        const storage = make();
        const arriving = storage.newBody(undefined)!;
        expect(arriving.append(bytesOf(LIMIT - 8 * KIB, 1))).toBe(true);
        const second = storage.newBody(undefined)!;
        expect(second.append(bytesOf(9000, 1))).toBe(false);
        second.discard();
        second.release();
        arriving.discard();
        arriving.release();
        expect(storage.usedBytes).toBe(0);
        storage.close();
      }));

    test("invalidate() drops one variant or all and says how many", () =>
      use((make) => {
        const storage = make();
        put(storage, "/v", bytesOf(10, 1), "a");
        const b = put(storage, "/v", bytesOf(20, 2), "b")!;
        put(storage, "/v", bytesOf(30, 3), "c");
        expect(storage.invalidate("/v", b)).toBe(1);
        expect(storage.invalidate("/v", b)).toBe(0);
        expect(storage.invalidate("/v")).toBe(2);
        expect([storage.count, storage.usedBytes]).toEqual([0, 0]);
        storage.close();
      }));
  });
}

storageContract("MemoryStorage", (run) => run((onEvict = () => {}) => new MemoryStorage(LIMIT, { onEvict })));
storageContract("MemoryStorage that lends", (run) => {
  const prefix = `test-${process.pid}-${crypto.randomUUID().slice(0, 8)}-body`;
  // A lower bound than in use: every body but the smallest is an object of its own.
  const loans = new Loans(
    (loan) => `/${prefix}.${loan}`,
    () => {},
    100,
  );
  const left = () => readdirSync("/dev/shm").filter((name) => name.startsWith(prefix));
  try {
    run((onEvict = () => {}) => new MemoryStorage(LIMIT, { onEvict }, loans));
    expect(left()).toEqual([]);
    expect(loans.count).toBe(0);
  } finally {
    for (const name of left()) rmSync(join("/dev/shm", name), { force: true });
  }
});
storageContract("DiskStorage", (run) =>
  withDirectory((directory) =>
    run((onEvict = () => {}) => openDisk(join(directory, "store"), { limitBytes: LIMIT, onEvict })),
  ),
);

test("MemoryStorage takes larger bodies where there is no disk tier for them", () => {
  expect(new MemoryStorage(LIMIT, NO_EVENTS).bodyBytesMax).toBe(LIMIT / 8);
  expect(new MemoryStorage(LIMIT, NO_EVENTS, undefined, true).bodyBytesMax).toBe(LIMIT / 2);
});

/** Memory and disk as a shard has them. */
function tiersOf(directory: string, memoryBytes: number, diskBytes = 4 * LIMIT) {
  const disk = openDisk(directory, { limitBytes: diskBytes });
  const memory = new MemoryStorage(memoryBytes, {
    onEvict: (slot, response) => disk.copies.uncover(slot, response),
    onRemove: (slot) => disk.copies.drop(slot),
  });
  const storage = new TieredStorage(
    { memory, disk },
    () => {},
    () => performance.now(),
  );
  return { disk, memory, storage };
}

describe("TieredStorage", () => {
  test("places a body in the first tier that takes one of its length", () =>
    withDirectory((directory) => {
      const { memory, disk, storage } = tiersOf(directory, 64 * KIB);
      expect(storage.placeFor(1 * KIB)?.storage).toBe(memory);
      expect(storage.placeFor(10 * KIB)?.storage).toBe(disk);
      expect(storage.placeFor(undefined)?.storage).toBe(memory);
      expect(storage.placeFor(1 * KIB, memory)?.storage).toBe(disk);
      expect(storage.placeFor(4 * LIMIT)).toBeUndefined();
      storage.close();
    }));

  test("what is in memory is copied to disk, is found once, and outlives memory", () =>
    withDirectory((directory) => {
      const { memory, disk, storage } = tiersOf(directory, 64 * KIB);
      const first = put(memory, "/0", bytesOf(5000, 0))!;
      storage.touch(first);
      storage.writeBehind!.run(1000);
      expect([disk.count, disk.copies.count]).toEqual([1, 1]);
      expect(storage.lookup("/0")).toEqual([first]);
      for (let index = 1; index < 40; index++) {
        storage.touch(put(memory, `/${index}`, bytesOf(5000, index))!);
        storage.writeBehind!.run(1000);
      }
      for (let index = 40; index < 80; index++) put(memory, `/${index}`, bytesOf(5000, index));
      expect(memory.lookup("/0")).toEqual([]);
      expect(readAll(storage.lookup("/0")[0]!.body)).toEqual(bytesOf(5000, 0));
      storage.close();
      const next = openDisk(directory, { limitBytes: 4 * LIMIT });
      for (const index of [0, 30, 35]) expect(next.lookup(`/${index}`)).toHaveLength(1);
      next.close();
    }));

  test("what is used on disk comes into memory and stays the same response; its copy is renewed and goes with it", () =>
    withDirectory(async (directory) => {
      const { memory, disk, storage } = tiersOf(directory, 256 * KIB);
      put(disk, "/a", bytesOf(5000, 1));
      const [found] = storage.lookup("/a");
      storage.touch(found!);
      expect([memory.has(found!), disk.copies.count]).toEqual([true, 1]);
      expect(storage.lookup("/a")).toEqual([found!]);
      expect(readAll(found!.body)).toEqual(bytesOf(5000, 1));
      storage.renewed(found!);
      found!.fields.set("X-New", "1");
      await Promise.resolve();
      storage.writeBehind!.run(1000);
      expect(
        openDisk(directory, { limitBytes: 4 * LIMIT })
          .lookup("/a")[0]!
          .fields.get("x-new"),
      ).toBe("1");
      expect(storage.invalidate("/a")).toBe(1);
      expect([storage.lookup("/a"), disk.count, disk.usedBytes]).toEqual([[], 0, 0]);
      storage.close();
    }));

  test("a larger body comes at its second use, in pieces; who reads it on disk reads on, and it keeps its room until he is done", () =>
    withDirectory((directory) => {
      const { memory, disk, storage } = tiersOf(directory, 4096 * KIB);
      const bytes = bytesOf(400_000, 1);
      const big = openDisk(directory, { limitBytes: 4096 * KIB });
      put(big, "/big", bytes);
      const other = tiersOf(directory, 4096 * KIB);
      const [found] = other.storage.lookup("/big");
      const onDisk = found!.body;
      onDisk.retain();
      const into = new Uint8Array(1000);
      onDisk.read(399_000, into);
      for (let use = 0; use < 2; use++) other.storage.touch(found!);
      expect(other.storage.isIdle).toBe(false);
      while (!other.storage.isIdle) other.storage.moveBodies(0);
      expect([other.memory.has(found!), found!.body === onDisk]).toEqual([true, false]);
      expect(readAll(found!.body)).toEqual(bytes);
      const { usedBytes } = other.disk;
      expect(other.storage.invalidate("/big")).toBe(1);
      expect(other.disk.usedBytes).toBe(usedBytes);
      onDisk.read(399_000, into);
      expect(into).toEqual(bytes.slice(399_000));
      onDisk.release();
      expect([other.disk.usedBytes, other.memory.usedBytes]).toEqual([0, 0]);
      for (const each of [storage, other.storage]) each.close();
      expect([memory.count, disk.copies.count]).toEqual([0, 0]);
    }));

  test.each([
    ["an eighth of the tier comes at its second use", 512, 2],
    ["a quarter at its fourth", 1024, 4],
    ["half of it at its eighth", 2048, 8],
    ["more than half never", 2049, Number.POSITIVE_INFINITY],
  ])("of larger bodies %s", (_, kibibytes, usesNeeded) =>
    withDirectory((directory) => {
      const made = openDisk(directory, { limitBytes: 16 * 1024 * KIB });
      const bytes = bytesOf(kibibytes * KIB, 1);
      put(made, "/big", bytes);
      made.close();
      const { memory, storage } = tiersOf(directory, 4096 * KIB, 16 * 1024 * KIB);
      const [found] = storage.lookup("/big");
      for (let use = 1; use <= 10; use++) {
        storage.touch(found!);
        while (!storage.isIdle) storage.moveBodies(0);
        expect([use, memory.has(found!)]).toEqual([use, use >= usesNeeded]);
      }
      expect(readAll(found!.body)).toEqual(bytes);
      expect(memory.usedBytes).toBeLessThanOrEqual(4096 * KIB);
      storage.close();
    }),
  );

  test("a larger body for which there would be no room among those that are read drives nobody out", () =>
    withDirectory((directory) => {
      const { memory, disk, storage } = tiersOf(directory, 4096 * KIB, 16 * 1024 * KIB);
      put(disk, "/big", bytesOf(2000 * KIB, 1));
      const held = Array.from({ length: 5 }, (_, index) => put(memory, `/held/${index}`, bytesOf(450 * KIB, index))!);
      for (const { body } of held) body.retain();
      for (let index = 0; index < 200; index++) put(memory, `/${index}`, bytesOf(5000, index));
      const { count } = memory;
      const [found] = storage.lookup("/big");
      const useOften = () => {
        for (let use = 0; use < 10; use++) storage.touch(found!);
        while (!storage.isIdle) storage.moveBodies(1000);
      };
      useOften();
      expect([memory.count, memory.has(found!)]).toEqual([count, false]);
      for (const { body } of held) body.release();
      useOften();
      expect(memory.has(found!)).toBe(true);
      storage.close();
    }));

  test("a newer response drops the copy of the older one at once", () =>
    withDirectory((directory) => {
      const { memory, disk, storage } = tiersOf(directory, 256 * KIB);
      storage.touch(put(memory, "/a", bytesOf(5000, 1))!);
      storage.writeBehind!.run(1000);
      const body = memory.newBody(100);
      body.append(bytesOf(100, 2));
      const newer: StoredResponse = { ...storage.lookup("/a")[0]!, body, bodyBytes: 100 };
      expect(storage.store(memory, newer)).toBe(true);
      body.release();
      expect(disk.count).toBe(0);
      expect(readAll(storage.lookup("/a")[0]!.body)).toEqual(bytesOf(100, 2));
      storage.close();
    }));
});

describe("DiskStorage", () => {
  test("a directory that has gone is told and the body not taken", () =>
    withDirectory((directory) => {
      const faults: Error[] = [];
      const gone = join(directory, "gone");
      const storage = openDisk(gone, { limitBytes: LIMIT, onFault: (error) => faults.push(error), onMedium: () => {} });
      rmSync(gone, { recursive: true });
      writeFileSync(gone, "a file");
      expect(storage.newBody()).toBeUndefined();
      expect(faults).toHaveLength(1);
      storage.close();
      expect(existsSync(gone)).toBe(true);
    }));

  test("what somebody has removed of its directory is made anew, but not the whole of it: another process may take that", () =>
    withDirectory((directory) => {
      const faults: Error[] = [];
      let nowMs = 0;
      const events = { onFault: (error: Error) => void faults.push(error), onMedium: () => {}, onBroken: () => {} };
      const path = join(directory, "store");
      using _ = StoreDirectory.open(path);
      const storage = openDisk(path, { limitBytes: LIMIT, nowMs: () => nowMs, ...events });
      const tryAgain = () => {
        nowMs += 60_000;
        return put(storage, "/a", bytesOf(1000, 1)) !== undefined;
      };
      rmSync(join(path, "incoming"), { recursive: true });
      expect([tryAgain(), tryAgain()]).toEqual([false, true]);
      rmSync(path, { recursive: true });
      expect([tryAgain(), tryAgain(), existsSync(path)]).toEqual([false, false, false]);
      expect(faults.at(-1)?.message).toMatch(/has been removed; restart the cache/);
    }));
});
