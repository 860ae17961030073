import { describe, expect, test } from "bun:test";
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FILE_SYSTEM, type FileSystem } from "./file-system.ts";
import { PurgeJournal } from "./purge-journal.ts";
import { withDirectory } from "./test-support.ts";

const ALL = { selectors: [{ by: "all" }], soft: false } as const;
const ONE = { selectors: [{ by: "key", key: "http://a/a", target: "/a" }], soft: true } as const;

describe("PurgeJournal", () => {
  test("tells the next life of every purge that has not been forgotten, and numbers go on", () =>
    withDirectory(async (directory) => {
      const first = new PurgeJournal(directory, () => 1000);
      expect([first.pending, first.last, first.isDamaged]).toEqual([[], 0, false]);
      const [one, two] = [first.record(ALL), first.record(ONE)];
      await Promise.all([one.durable, two.durable]);
      const three = first.record(ALL);
      await three.durable;
      expect(two.number).toBeGreaterThan(one.number);
      first.ended(one.number);
      await first.checkpoint();
      // A clock that was set back numbers nothing below what was.
      const second = new PurgeJournal(directory, () => 1);
      expect(second.pending).toEqual([
        { ...ONE, number: two.number, dryRun: false },
        { ...ALL, number: three.number, dryRun: false },
      ]);
      const four = second.record(ALL);
      expect(four.number).toBeGreaterThan(three.number);
      await four.durable;
      for (const { number } of second.pending) second.ended(number);
      await second.close();
      const third = new PurgeJournal(directory, () => 1);
      // What a soft purge has written into files may not be on the medium yet: it is kept for a while.
      expect(third.pending.map(({ number }) => number)).toEqual([two.number]);
      expect(third.last).toBe(four.number);
      await first.close();
      await third.close();
    }));

  test("many purges at once are forced to the medium together", () =>
    withDirectory(async (directory) => {
      let syncs = 0;
      const files: FileSystem = {
        ...FILE_SYSTEM,
        sync: (fildes) => {
          syncs++;
          return FILE_SYSTEM.sync(fildes);
        },
      };
      const journal = new PurgeJournal(directory, () => 1, files);
      await journal.record(ALL).durable;
      await Promise.all(Array.from({ length: 500 }, () => journal.record(ONE).durable));
      expect(syncs).toBeLessThanOrEqual(3);
      await journal.close();
      expect(new PurgeJournal(directory).pending).toHaveLength(501);
    }));

  test("an end that was torn off is as if it had not been written; any other damage purges all there was", () =>
    withDirectory(async (directory) => {
      const path = join(directory, "purges");
      const journal = new PurgeJournal(directory, () => 1);
      const { number, durable } = journal.record(ONE);
      await durable;
      await journal.close();
      const whole = readFileSync(path);
      appendFileSync(path, whole.subarray(0, whole.length - 5).subarray(whole.indexOf("\n") + 1));
      expect(new PurgeJournal(directory).pending.map((one) => one.number)).toEqual([number]);
      for (let at = 0; at < whole.length - 1; at += 7) {
        const flipped = Uint8Array.from(whole);
        flipped[at]! ^= 4;
        writeFileSync(path, flipped);
        const damaged = new PurgeJournal(directory, () => 5000);
        expect(damaged.isDamaged).toBe(true);
        expect(damaged.pending).toMatchObject([{ selectors: [{ by: "all" }], soft: false }]);
        expect(damaged.last).toBeGreaterThan(number);
      }
    }));

  test("a medium that refuses is told to who waits; what comes after that has the file made anew", () =>
    withDirectory(async (directory) => {
      let isRefusing = false;
      const files: FileSystem = {
        ...FILE_SYSTEM,
        sync: async (fildes) => {
          if (isRefusing) throw Object.assign(new Error("EIO: i/o error, fsync"), { code: "EIO" });
          await FILE_SYSTEM.sync(fildes);
        },
      };
      const journal = new PurgeJournal(directory, () => 1, files);
      await journal.record(ONE).durable;
      isRefusing = true;
      expect(journal.record(ALL).durable).rejects.toThrow("EIO");
      await Bun.sleep(10);
      isRefusing = false;
      await journal.record(ONE).durable;
      expect(new PurgeJournal(directory).pending.map(({ selectors }) => selectors[0]!.by)).toEqual([
        "key",
        "all",
        "key",
      ]);
      await journal.close();
    }));

  test("one that can not be read is a damaged one", () =>
    withDirectory((directory) => {
      mkdirSync(join(directory, "purges"));
      expect(new PurgeJournal(directory).isDamaged).toBe(true);
    }));
});
