import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PurgeJournal } from "./purge-journal.ts";
import { ArchiveError, exportStore, importStore } from "./store-archive.ts";
import { StoreDirectory, StoreDirectoryError } from "./store-directory.ts";
import { inspectStore } from "./store-reader.ts";
import { bytesOf, KIB, openDisk, PREFIX, put, readAll, responsesIn, withDirectory } from "./test-support.ts";

const LIMIT = 4096 * KIB;
const NOW_MS = Date.UTC(2026, 10, 22, 12, 5);

/** A store with twenty responses, two of them variants of one. */
function fill(directory: string): void {
  StoreDirectory.open(directory)[Symbol.dispose]();
  const disk = openDisk(directory, { limitBytes: LIMIT });
  for (let index = 0; index < 18; index++) put(disk, `${PREFIX}/${index}?q`, bytesOf(index * 9000, index));
  put(disk, `${PREFIX}/v`, bytesOf(10, 1), "accept:a\n");
  put(disk, `${PREFIX}/v`, bytesOf(20, 2), "accept:b\n");
}

describe("inspectStore()", () => {
  test("says what is stored, and of one URL all variants", () =>
    withDirectory((directory) => {
      fill(directory);
      expect([...inspectStore(directory, undefined, NOW_MS)]).toHaveLength(20);
      for (const url of [`${PREFIX}/3?q`, "/3?q"]) {
        expect([...inspectStore(directory, url, NOW_MS)]).toMatchObject([
          {
            url: `${PREFIX}/3?q`,
            status: 200,
            bodyBytes: 27_000,
            ageSeconds: 300,
            ttlSeconds: 300,
            varyNames: [],
            tags: ["a", "b"],
          },
        ]);
      }
      const variants = [...inspectStore(directory, "/v", NOW_MS)].map(({ varyKey, bodyBytes }) => [varyKey, bodyBytes]);
      expect(variants.sort()).toEqual([
        ["accept:a\n", 10],
        ["accept:b\n", 20],
      ]);
      expect([...inspectStore(directory, "/none", NOW_MS)]).toEqual([]);
    }));
});

describe("exportStore() and importStore()", () => {
  test("tell how far they are, ever farther, to the end", () =>
    withDirectory((directory) => {
      const file = join(directory, "archive");
      fill(join(directory, "from"));
      const told: { exported: [number, number][]; imported: [number, number][] } = { exported: [], imported: [] };
      exportStore(join(directory, "from"), file, (done, total) => told.exported.push([done, total]));
      importStore(join(directory, "to"), file, LIMIT, (done, total) => told.imported.push([done, total]));
      for (const steps of [told.exported, told.imported]) {
        expect(steps).toHaveLength(20);
        expect(steps.map(([done]) => done)).toEqual(steps.map(([done]) => done).sort((one, other) => one - other));
        expect(new Set(steps.map(([, total]) => total)).size).toBe(1);
        const [done, total] = steps.at(-1)!;
        expect(done).toBeLessThanOrEqual(total);
        expect(done).toBeGreaterThan(total - 32); // behind the last response an archive has its end
      }
    }));

  test("move all that is stored to another store", () =>
    withDirectory((directory) => {
      const [from, to, file] = ["from", "to", "archive"].map((name) => join(directory, name)) as [
        string,
        string,
        string,
      ];
      fill(from);
      expect(exportStore(from, file)).toMatchObject({ responses: 20, skipped: 0 });
      expect(importStore(to, file, LIMIT)).toMatchObject({ responses: 20, skipped: 0 });
      expect(importStore(to, file, LIMIT)).toMatchObject({ responses: 0, skipped: 20 });
      const disk = openDisk(to, { limitBytes: LIMIT });
      for (let index = 0; index < 18; index++) {
        expect(readAll(disk.lookup(`${PREFIX}/${index}?q`)[0]!.body)).toEqual(bytesOf(index * 9000, index));
      }
      expect(disk.lookup(`${PREFIX}/v`)).toHaveLength(2);
    }));

  test("what a power cut has brought back after a purge is not exported", () =>
    withDirectory(async (directory) => {
      const store = join(directory, "store");
      const disk = openDisk(store, { limitBytes: LIMIT });
      for (const target of ["/a/1", "/b/1"]) put(disk, PREFIX + target, bytesOf(100, 1));
      const journal = new PurgeJournal(store);
      await journal.record({ selectors: [{ by: "prefix", prefix: `${PREFIX}/a/` }], soft: false }).durable;
      expect(exportStore(store, join(directory, "archive"))).toMatchObject({ responses: 1, skipped: 1 });
      await journal.close();
    }));

  test("an import keeps the limit of the disk tier", () =>
    withDirectory((directory) => {
      const [from, to, file] = ["from", "to", "archive"].map((name) => join(directory, name)) as [
        string,
        string,
        string,
      ];
      fill(from);
      exportStore(from, file);
      const { responses, skipped } = importStore(to, file, 200 * KIB);
      expect([responses + skipped, skipped > 5]).toEqual([20, true]);
      expect(openDisk(to, { limitBytes: LIMIT }).usedBytes).toBeLessThanOrEqual(200 * KIB);
    }));

  test("what is not all of an archive, or has a flipped bit, is refused, and what it would have brought is not there", () =>
    withDirectory((directory) => {
      const [from, file] = ["from", "archive"].map((name) => join(directory, name)) as [string, string];
      fill(from);
      exportStore(from, file);
      const whole = readFileSync(file);
      for (const [round, at] of [0, 17, 100, whole.length >> 1, whole.length - 60, whole.length - 3].entries()) {
        const to = join(directory, `to-${round}`);
        const flipped = Buffer.from(whole);
        flipped[at]! ^= 4;
        writeFileSync(file, flipped);
        expect(() => importStore(to, file, LIMIT)).toThrow(ArchiveError);
        writeFileSync(file, whole);
        truncateSync(file, at);
        expect(() => importStore(to, file, LIMIT)).toThrow(ArchiveError);
        const disk = openDisk(to, { limitBytes: LIMIT });
        for (const response of responsesIn(disk)) readAll(response.body); // throws for what is broken
      }
    }));

  test("are refused where there is no store, or where one is in use", () =>
    withDirectory((directory) => {
      const file = join(directory, "archive");
      expect(() => exportStore(join(directory, "none"), file)).toThrow("ENOENT");
      expect(existsSync(file)).toBe(false);
      const from = join(directory, "from");
      fill(from);
      exportStore(from, file);
      using _ = StoreDirectory.open(from);
      expect(() => importStore(from, file, LIMIT)).toThrow(StoreDirectoryError);
    }));
});
