/**
 * Purges go through a store of two tiers in small steps, and between the steps anything happens that moves responses: uses that bring them into memory, room that is made,
 * copies, replacing. From the moment a purge is given nothing that it concerns may be found, and when it is over nothing of it may be there.
 */
import { describe, expect, test } from "bun:test";
import { isFresh } from "@proj/protocol";
import type { StoredResponse } from "../stored-response.ts";
import type { DiskStorageOptions } from "./disk-storage.ts";
import { FILE_SYSTEM, type FileSystem } from "./file-system.ts";
import { MemoryStorage } from "./memory-storage.ts";
import type { PurgeRule } from "./purging.ts";
import { SlowFileSystem } from "./slow-file-system.ts";
import { bytesOf, KIB, openDisk, PREFIX, put, responsesIn, responseTo, withDirectory } from "./test-support.ts";
import { TieredStorage } from "./tiered-storage.ts";

const COUNT = 200;

function tiersIn(directory: string, options: Partial<DiskStorageOptions> = {}) {
  const disk = openDisk(directory, { limitBytes: 16 * 1024 * KIB, ...options });
  const memory = new MemoryStorage(1024 * KIB, {
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

function ruleFor(number: number, kind: PurgeRule["kind"], concerns: (item: number) => boolean): PurgeRule {
  return { number, kind, hints: undefined, givenMs: Date.now(), concerns: ({ key }) => concerns(itemOf(key)) };
}

function itemOf(key: string): number {
  return Number(key.slice(key.lastIndexOf("/") + 1));
}

function keyOf(item: number): string {
  return `${PREFIX}/${item}`;
}

describe("Purging", () => {
  test("what a purge concerns is not found from the moment it is given, and is gone when it is over, whatever moves meanwhile", async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    console.log(`purging: seed ${seed}`);
    let state = seed | 1;
    const random = (below: number) => {
      state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9;
      return (state >>> 0) % below;
    };
    await withDirectory(async (directory) => {
      const { disk, memory, storage } = tiersIn(directory);
      /** Of each item: the number of the last purge that it came after. */
      const storedAfter = new Map<number, number>();
      const store = (item: number) => {
        const tier = random(2) === 0 ? memory : disk;
        const bytes = bytesOf(500 + random(3000), item);
        const body = tier.newBody(bytes.length)!;
        body.append(bytes);
        const response = responseTo(keyOf(item), body);
        response.freshness = { ...response.freshness, initialAgeMs: 0, responseTimeMs: Date.now() };
        storage.store(tier, response);
        body.release();
        storedAfter.set(item, storage.purgesSeen);
      };
      for (let item = 0; item < COUNT; item++) store(item);
      for (let number = 1; number <= 8; number++) {
        const kind = random(3) === 0 ? "make-stale" : "drop";
        const every = 2 + random(4);
        const concerns = (item: number) => item % every === 0;
        let isOver = false;
        const purge = storage.purge(ruleFor(number, kind, concerns)).then((count) => {
          isOver = true;
          return count;
        });
        const expectPurged = (response: StoredResponse) => {
          const item = itemOf(response.key);
          if (!concerns(item) || storedAfter.get(item)! >= number) return;
          expect(kind, `${item} in purge ${number}`).toBe("make-stale");
          expect(isFresh(response.freshness, Date.now() + 1)).toBe(false);
        };
        while (!isOver) {
          for (let times = 0; times < 5; times++) {
            const item = random(COUNT);
            const found = storage.lookup(keyOf(item));
            for (const response of found) {
              expectPurged(response);
              storage.touch(response);
            }
            if (random(4) === 0) store(item);
          }
          storage.moveBodies(0);
          await Promise.resolve();
          storage.purgeFor(0);
        }
        await purge;
        await Promise.resolve();
        for (const response of [...responsesIn(memory), ...responsesIn(disk)]) expectPurged(response);
        for (let item = 0; item < COUNT; item++) if (random(2) === 0) store(item);
      }
      storage.close();
    });
  }, 120_000);

  test("says how many there were, of both tiers, each once; a dry run changes nothing", () =>
    withDirectory(async (directory) => {
      const { disk, memory, storage } = tiersIn(directory);
      for (let item = 0; item < 100; item++) {
        const tier = item < 50 ? memory : disk;
        const body = tier.newBody(10)!;
        body.append(bytesOf(10, item));
        storage.store(tier, responseTo(keyOf(item), body));
        body.release();
      }
      storage.writeBehind!.run(1000);
      const isEven = (item: number) => item % 2 === 0;
      expect(await storage.purge(ruleFor(0, "dry-run", isEven))).toEqual({ responses: 50, bodyBytes: 500 });
      const soft = storage.purge(ruleFor(1, "make-stale", isEven));
      const hard = storage.purge(ruleFor(2, "drop", (item) => item % 4 === 0));
      for (let item = 0; item < 100; item++) storage.lookup(keyOf(item)); // by whom each is met does not matter
      expect((await hard).responses).toBe(25);
      expect((await soft).responses).toBe(25);
      expect(await storage.purge(ruleFor(3, "drop", () => true))).toEqual({ responses: 75, bodyBytes: 750 });
      expect([memory.count, disk.count]).toEqual([0, 0]);
      storage.close();
    }));

  test("does not wait for the disk, and goes on where it was", () =>
    withDirectory(async (directory) => {
      const before = openDisk(directory, { limitBytes: 16 * 1024 * KIB });
      for (let item = 0; item < 100; item++) put(before, keyOf(item), bytesOf(1000, item));
      const files = new SlowFileSystem();
      files.opensSlowly = true;
      const { disk, storage } = tiersIn(directory, { files });
      const { open } = files;
      files.open = (path) => {
        throw new Error(`The thread waits for ${path}`);
      };
      let isOver = false;
      const purge = storage.purge(ruleFor(1, "drop", (item) => item % 2 === 0)).finally(() => {
        isOver = true;
      });
      while (!isOver) if (!(await files.end())) await Bun.sleep(1);
      expect(await purge).toEqual({ responses: 50, bodyBytes: 50_000 });
      files.open = open;
      expect(responsesIn(disk).map(({ key }) => itemOf(key) % 2)).toEqual(new Array(50).fill(1));
      storage.close();
    }));

  test("finds also what can not be read just now: it waits for that, or lets it go", () =>
    withDirectory(async (directory) => {
      const before = openDisk(directory, { limitBytes: 16 * 1024 * KIB });
      for (let item = 0; item < 20; item++) put(before, keyOf(item), bytesOf(1000, item));
      let refused = 0;
      let isRefusing = true;
      const open = (path: string) => {
        if (!isRefusing) return FILE_SYSTEM.open(path);
        refused++;
        throw Object.assign(new Error("EMFILE: too many open files"), { code: "EMFILE" });
      };
      const files: FileSystem = { ...FILE_SYSTEM, open, openAtHand: open, openLater: async (path) => open(path) };
      const { disk, storage } = tiersIn(directory, { files, onFault: () => {}, onMedium: () => {} });
      expect(
        (
          await storage.purge(
            ruleFor(1, "drop", () => true),
            [keyOf(0)],
          )
        ).responses,
      ).toBe(1);
      expect(
        (
          await storage.purge(
            ruleFor(2, "make-stale", () => true),
            [keyOf(1)],
          )
        ).responses,
      ).toBe(1);
      expect(storage.invalidate(keyOf(2))).toBe(1);
      expect(
        await storage.purge(
          ruleFor(0, "dry-run", () => true),
          [keyOf(3)],
        ),
      ).toEqual({ responses: 0, bodyBytes: 0 });
      const asked = refused;
      const purge = storage.purge(ruleFor(3, "drop", () => true));
      const again = storage.purge(ruleFor(4, "drop", () => true));
      while (refused < asked + 5) await Bun.sleep(1);
      expect(disk.count).toBe(17);
      isRefusing = false;
      expect((await purge).responses + (await again).responses).toBe(17);
      expect(disk.count).toBe(0);
      storage.close();
    }));

  test("says what it could not look at: a directory that can not be read; it is known once it can be", () =>
    withDirectory(async (directory) => {
      const before = openDisk(directory, { limitBytes: 16 * 1024 * KIB });
      for (let item = 0; item < 20; item++) put(before, keyOf(item), bytesOf(1000, item));
      let isRefusing = true;
      const files: FileSystem = {
        ...FILE_SYSTEM,
        list: (path) => {
          if (isRefusing) throw Object.assign(new Error("EIO: i/o error"), { code: "EIO" });
          return FILE_SYSTEM.list(path);
        },
      };
      const { disk, storage } = tiersIn(directory, { files, onFault: () => {}, onMedium: () => {} });
      expect([disk.count, disk.isListed, storage.filesLeft]).toEqual([0, true, 0]);
      await storage.purge(
        ruleFor(1, "drop", () => true),
        [keyOf(0)],
      );
      expect(storage.filesLeft).toBe(1);
      await storage.purge(ruleFor(2, "drop", () => true));
      expect(storage.filesLeft).toBe(257);
      isRefusing = false;
      expect(storage.lookup(keyOf(0))).toHaveLength(1);
      for (let turn = 0; turn < 256; turn++) disk.sweep(0);
      expect(disk.count).toBe(20);
      await storage.purge(ruleFor(3, "drop", () => true));
      expect([disk.count, storage.filesLeft]).toEqual([0, 257]);
      storage.close();
    }));
});
