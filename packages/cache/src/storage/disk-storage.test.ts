import { describe, expect, test } from "bun:test";
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { BrokenBodyError } from "./body-file.ts";
import { DroppedBodyError } from "./body-store.ts";
import { READ_ENTRIES_MAX } from "./disk-storage.ts";
import { digestHints } from "./entry-digest.ts";
import { BLOCK_BYTES } from "./entry-tail.ts";
import { FILE_SYSTEM, type FileSystem } from "./file-system.ts";
import { bytesOf, KIB, openDisk, PREFIX, put, readAll, responsesIn, withDirectory } from "./test-support.ts";
import { TieredStorage } from "./tiered-storage.ts";

const LIMIT = 4 * 1024 * KIB;

/** The files of stored responses. */
function filesIn(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((name) => /^[0-9a-f]{2}\/./.test(name))
    .map((name) => join(directory, name));
}

function flipBit(path: string, position: number): void {
  const byte = readFileSync(path)[position]!;
  const fildes = openSync(path, "r+");
  writeSync(fildes, Uint8Array.of(byte ^ 0x10), 0, 1, position);
  closeSync(fildes);
}

describe("DiskStorage", () => {
  test("a body that was forgotten and then dropped, or has another's file under its name, is gone and not damaged", () =>
    withDirectory((directory) => {
      // Whatever is broken here throws: see openDisk.
      const disk = openDisk(directory, { limitBytes: 16 * LIMIT });
      const [gone, replaced] = ["/gone", "/replaced"].map((path) => put(disk, PREFIX + path, bytesOf(100, 1))!);
      for (let other = 0; other < READ_ENTRIES_MAX; other++) put(disk, `${PREFIX}/${other}`, bytesOf(1, other));
      disk.invalidate(`${PREFIX}/gone`);
      put(disk, `${PREFIX}/replaced`, bytesOf(100, 2)); // of the same length, and as long of use: the same name
      expect([disk.has(gone!), disk.has(replaced!)]).toEqual([false, false]);
      for (const { body } of [gone!, replaced!]) expect(() => readAll(body)).toThrow(DroppedBodyError);
      expect(readAll(disk.lookup(`${PREFIX}/replaced`)[0]!.body)).toEqual(bytesOf(100, 2));
      disk.close();
    }));

  test("what one life stores the next one has, with all that belongs to it", () =>
    withDirectory((directory) => {
      const lengths = [0, 1, 4000, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 300_000];
      const first = openDisk(directory, { limitBytes: LIMIT });
      const stored = lengths.map((length) => put(first, `${PREFIX}/${length}`, bytesOf(length, length))!);
      put(first, `${PREFIX}/v`, bytesOf(10, 1), "a");
      put(first, `${PREFIX}/v`, bytesOf(20, 2), "b");
      first.close();
      const second = openDisk(directory, { limitBytes: LIMIT });
      expect([second.count, second.usedBytes]).toEqual([first.count, first.usedBytes]);
      for (const [index, length] of lengths.entries()) {
        const [again] = second.lookup(`${PREFIX}/${length}`);
        expect(readAll(again!.body)).toEqual(bytesOf(length, length));
        const { body: _, ...rest } = again!;
        const { body: __, ...before } = stored[index]!;
        expect(rest).toEqual(before);
      }
      expect(
        second
          .lookup(`${PREFIX}/v`)
          .map((one) => one.bodyBytes)
          .sort(),
      ).toEqual([10, 20]);
      expect(second.lookup(`${PREFIX}/none`)).toEqual([]);
      second.close();
    }));

  test("any number of shards finds what any other number has stored, each its own part", () =>
    withDirectory((directory) => {
      const openShards = (shards: number) =>
        Array.from({ length: shards }, (_, shard) =>
          openDisk(directory, { limitBytes: LIMIT, shard, owns: (hash) => hash % shards === shard }),
        );
      const before = openShards(3);
      for (let index = 0; index < 60; index++) {
        const key = `${PREFIX}/${index}`;
        const shard = Bun.hash.xxHash32(`/${index}`) % 3;
        put(before[shard]!, key, bytesOf(1000, index));
      }
      const after = openShards(5);
      expect(after.reduce((sum, { count }) => sum + count, 0)).toBe(60);
      for (let index = 0; index < 60; index++) {
        const found = after.flatMap((shard) => shard.lookup(`${PREFIX}/${index}`));
        expect(found.map(({ body }) => readAll(body))).toEqual([bytesOf(1000, index)]);
      }
    }));

  test(
    "a bit that flips anywhere in a file makes it a miss, told once, and never other bytes",
    () =>
      withDirectory((directory) => {
        const bytes = bytesOf(BLOCK_BYTES + 5000, 1);
        const seed = Math.floor(Math.random() * 2 ** 31);
        console.log(`flipped bits: seed ${seed}`);
        for (let round = 0; round < 60; round++) {
          const writer = openDisk(directory, { limitBytes: LIMIT });
          put(writer, `${PREFIX}/a`, bytes);
          const [file] = filesIn(directory);
          const { size } = statSync(file!);
          flipBit(
            file!,
            round < 20 ? size - 1 - 30 * round : Math.floor(((((seed + round) * 48_271) % 2 ** 31) / 2 ** 31) * size),
          );
          const broken: Error[] = [];
          const reader = openDisk(directory, { limitBytes: LIMIT, onBroken: (error) => broken.push(error) });
          const [found] = reader.lookup(`${PREFIX}/a`);
          if (found !== undefined) expect(() => readAll(found.body)).toThrow(BrokenBodyError);
          expect(broken).toHaveLength(1);
          expect([reader.lookup(`${PREFIX}/a`), reader.count, reader.usedBytes]).toEqual([[], 0, 0]);
          expect(filesIn(directory)).toEqual([]);
        }
      }),
    60_000,
  );

  test("a file that is cut at any length is a miss", () =>
    withDirectory((directory) => {
      for (const cut of [0, 1, 100, 4999, 5000, 5100, -41, -40, -1]) {
        put(openDisk(directory, { limitBytes: LIMIT }), `${PREFIX}/a`, bytesOf(5000, 1));
        const [file] = filesIn(directory);
        truncateSync(file!, cut < 0 ? statSync(file!).size + cut : cut);
        const broken: Error[] = [];
        const reader = openDisk(directory, { limitBytes: LIMIT, onBroken: (error) => broken.push(error) });
        expect(reader.lookup(`${PREFIX}/a`)).toEqual([]);
        expect([broken.length, reader.count, filesIn(directory).length]).toEqual([1, 0, 0]);
      }
    }));

  test("a file whose name says another response than it holds answers for neither", () =>
    withDirectory((directory) => {
      const writer = openDisk(directory, { limitBytes: LIMIT });
      put(writer, `${PREFIX}/a`, bytesOf(5000, 1));
      const [a] = filesIn(directory);
      put(writer, `${PREFIX}/b`, bytesOf(5000, 2));
      const b = filesIn(directory).find((file) => file !== a)!;
      writeFileSync(b, readFileSync(a!));
      const broken: Error[] = [];
      const reader = openDisk(directory, { limitBytes: LIMIT, onBroken: (error) => broken.push(error) });
      expect(reader.lookup(`${PREFIX}/b`)).toEqual([]);
      expect([broken.length, reader.count]).toEqual([1, 1]);
      expect(readAll(reader.lookup(`${PREFIX}/a`)[0]!.body)).toEqual(bytesOf(5000, 1));
    }));

  test("a store whose names are of version 2, without digests, is read, and purged", () =>
    withDirectory(async (directory) => {
      const writer = openDisk(directory, { limitBytes: LIMIT });
      for (const target of ["/a", "/b"]) put(writer, PREFIX + target, bytesOf(500, 1));
      for (const file of filesIn(directory)) renameSync(file, file.slice(0, file.lastIndexOf("-")));
      const reader = openDisk(directory, { limitBytes: LIMIT });
      expect(readAll(reader.lookup(`${PREFIX}/a`)[0]!.body)).toEqual(bytesOf(500, 1));
      const tiers = { memory: undefined, disk: reader };
      const storage = new TieredStorage(
        tiers,
        () => {},
        () => performance.now(),
      );
      const hints = digestHints([{ by: "tag", tag: "a", before: "" }]);
      const rule = { number: 1, kind: "drop", hints, givenMs: 0, concerns: () => true } as const;
      expect((await storage.purge(rule)).responses).toBe(2);
      expect(filesIn(directory)).toEqual([]);
    }));

  test("what it counts is what the files take, within a block each", () =>
    withDirectory((directory) => {
      const storage = openDisk(directory, { limitBytes: LIMIT });
      for (let index = 0; index < 200; index++)
        put(storage, `${PREFIX}/${index}`, bytesOf((index * 977) % 90_000, index));
      const files = filesIn(directory);
      const takenBytes = files.reduce((sum, file) => sum + statSync(file).blocks * 512, 0);
      expect(files.length).toBe(storage.count);
      expect(Math.abs(storage.usedBytes - takenBytes)).toBeLessThanOrEqual(files.length * 4096);
      expect(takenBytes).toBeLessThanOrEqual(LIMIT);
    }));

  test("a smaller limit in the next life holds once all is known", () =>
    withDirectory((directory) => {
      const first = openDisk(directory, { limitBytes: LIMIT });
      for (let index = 0; index < 100; index++) put(first, `${PREFIX}/${index}`, bytesOf(20_000, index));
      const second = openDisk(directory, { limitBytes: LIMIT / 8 });
      expect(second.usedBytes).toBeLessThanOrEqual(LIMIT / 8);
      expect(second.usedBytes).toBeGreaterThan(LIMIT / 16);
      expect(filesIn(directory).length).toBe(second.count);
    }));

  test("what is of no use any more is swept, what can be validated or is still good stays", () =>
    withDirectory((directory) => {
      const storage = openDisk(directory, { limitBytes: LIMIT });
      const body = storage.newBody()!;
      body.append(bytesOf(100, 1));
      const validated = put(storage, `${PREFIX}/with-etag`, bytesOf(100, 1))!;
      const fields = validated.fields.filter((name) => name !== "etag");
      storage.store({ ...validated, key: `${PREFIX}/without`, fields, body, bodyBytes: 100 });
      body.release();
      const goodUntil = validated.freshness.responseTimeMs / 1000 + 600;
      storage.sweep(goodUntil);
      expect(storage.count).toBe(2);
      storage.sweep(goodUntil + 2 * 24 * 3600);
      expect(responsesIn(storage).map(({ key }) => key)).toEqual([`${PREFIX}/with-etag`]);
    }));

  test("no space, or few files left, on the file system: it lets go of what others need, and takes nothing meanwhile", () =>
    withDirectory((directory) => {
      let space = { freeBytes: 1e12, totalBytes: 1e12, freeFiles: 1e6, totalFiles: 1e6 };
      let nowMs = 0;
      const files: FileSystem = { ...FILE_SYSTEM, space: () => space };
      const told: boolean[] = [];
      const storage = openDisk(directory, {
        limitBytes: LIMIT,
        files,
        nowMs: () => nowMs,
        onFault: () => {},
        onMedium: (isGood) => told.push(isGood),
      });
      for (let index = 0; index < 100; index++) put(storage, `${PREFIX}/${index}`, bytesOf(20_000, index));
      const { usedBytes, count } = storage;
      space = { ...space, freeBytes: 256 * 1024 * KIB - 500_000 };
      nowMs += 2000;
      storage.sweep(0);
      expect(storage.usedBytes).toBeLessThanOrEqual(usedBytes - 500_000);
      expect(storage.usedBytes).toBeGreaterThan(usedBytes - 600_000);
      const left = storage.count;
      space = { ...space, freeBytes: 1e12, freeFiles: 1e4 - 20 };
      nowMs += 2000;
      storage.sweep(0);
      expect([left < count, storage.count]).toEqual([true, left - 20]);
      expect(told).toEqual([]);
      space = { ...space, freeBytes: 0 };
      nowMs += 2000;
      storage.sweep(0);
      expect([storage.count, storage.newBody(), storage.isDegraded, told]).toEqual([0, undefined, true, [false]]);
      space = { ...space, freeBytes: 1e12, freeFiles: 1e6 };
      nowMs += 2000;
      storage.sweep(0);
      expect(put(storage, `${PREFIX}/again`, bytesOf(10, 1))).toBeDefined();
      expect(told).toEqual([false, true]);
    }));

  test("what could not be removed is removed later, unless its name has been given to another meanwhile", () =>
    withDirectory((directory) => {
      let isRefusing = true;
      let nowMs = 0;
      const files: FileSystem = {
        ...FILE_SYSTEM,
        unlink: (path) => {
          if (isRefusing) throw Object.assign(new Error("EROFS: refused"), { code: "EROFS" });
          FILE_SYSTEM.unlink(path);
        },
      };
      const ignore = { onFault: () => {}, onMedium: () => {} };
      const storage = openDisk(directory, { limitBytes: LIMIT, files, nowMs: () => nowMs, ...ignore });
      for (const target of ["/a", "/b"]) put(storage, PREFIX + target, bytesOf(500, 1));
      expect(storage.invalidate(`${PREFIX}/a`) + storage.invalidate(`${PREFIX}/b`)).toBe(2);
      expect([storage.count, storage.filesLeft, filesIn(directory).length]).toEqual([0, 2, 2]);
      isRefusing = false;
      nowMs += 60_000;
      put(storage, `${PREFIX}/b`, bytesOf(500, 2));
      for (let times = 0; times < 3; times++) {
        storage.sweep(0);
        nowMs += 10_000;
      }
      expect([storage.count, filesIn(directory).length]).toEqual([1, 1]);
      expect(readAll(storage.lookup(`${PREFIX}/b`)[0]!.body)).toEqual(bytesOf(500, 2));
    }));

  test("a file that can not be opened for want of descriptors is a miss, and stays", () =>
    withDirectory((directory) => {
      put(openDisk(directory, { limitBytes: LIMIT }), `${PREFIX}/a`, bytesOf(5000, 1));
      let isRefusing = true;
      const files: FileSystem = {
        ...FILE_SYSTEM,
        open: (path) => {
          if (isRefusing) throw Object.assign(new Error("EMFILE: too many open files"), { code: "EMFILE" });
          return FILE_SYSTEM.open(path);
        },
      };
      const faults: Error[] = [];
      const onFault = (error: Error) => faults.push(error);
      const storage = openDisk(directory, { limitBytes: LIMIT, files, onFault, onMedium: () => {} });
      expect(storage.lookup(`${PREFIX}/a`)).toEqual([]);
      expect([faults.length, storage.count]).toEqual([1, 1]);
      isRefusing = false;
      const [found] = storage.lookup(`${PREFIX}/a`);
      isRefusing = true;
      expect(() => readAll(found!.body)).toThrow("EMFILE");
      isRefusing = false;
      expect(readAll(found!.body)).toEqual(bytesOf(5000, 1));
    }));

  test("a medium that refuses is left alone for a while, tried again, and told of once each way", () =>
    withDirectory((directory) => {
      let code: string | undefined;
      let nowMs = 0;
      const refuse = <Args extends unknown[], Result>(call: (...args: Args) => Result) => {
        return (...args: Args): Result => {
          if (code !== undefined) throw Object.assign(new Error(`${code}: refused`), { code });
          return call(...args);
        };
      };
      const files: FileSystem = {
        ...FILE_SYSTEM,
        create: refuse(FILE_SYSTEM.create),
        write: refuse(FILE_SYSTEM.write),
      };
      const told: string[] = [];
      const storage = openDisk(directory, {
        limitBytes: LIMIT,
        files,
        nowMs: () => nowMs,
        onFault: () => {},
        onMedium: (isGood) => told.push(isGood ? "good" : "bad"),
      });
      for (const fault of ["ENOSPC", "EIO", "EROFS"]) {
        put(storage, `${PREFIX}/before`, bytesOf(5000, 1));
        code = fault;
        expect(put(storage, `${PREFIX}/refused`, bytesOf(5000, 2))).toBeUndefined();
        expect(storage.newBody()).toBeUndefined();
        expect(storage.isDegraded).toBe(true);
        // What is stored is served on; a file system that is full gets some of it back.
        const [before] = storage.lookup(`${PREFIX}/before`);
        expect(before === undefined).toBe(fault === "ENOSPC");
        if (before !== undefined) expect(readAll(before.body)).toEqual(bytesOf(5000, 1));
        code = undefined;
        expect(storage.newBody()).toBeUndefined();
        nowMs += 60_000;
        storage.sweep(0);
        expect(storage.isDegraded).toBe(false);
        expect(put(storage, `${PREFIX}/after`, bytesOf(5000, 3))).toBeDefined();
      }
      expect(told).toEqual(["bad", "good", "bad", "good", "bad", "good"]);
      expect(filesIn(directory).length).toBe(storage.count);
    }));
});

test("DiskStorage writes a body that is shorter than a block together with its tail, and longer ones a block at a time", () =>
  withDirectory((directory) => {
    const written: number[] = [];
    const files: FileSystem = {
      ...FILE_SYSTEM,
      write: (fildes, bytes, position) => {
        written.push(bytes.length);
        FILE_SYSTEM.write(fildes, bytes, position);
      },
    };
    const disk = openDisk(directory, { limitBytes: 4096 * KIB, files });
    for (const [length, writes] of [
      [1000, 1],
      [60_000, 1],
      [65_536, 3], // what was there of the block, what came, the tail
      [200_000, 7],
    ] as const) {
      written.length = 0;
      const bytes = bytesOf(length, 1);
      put(disk, `${PREFIX}/${length}`, bytes);
      expect(written.length).toBe(writes);
      const reader = openDisk(directory, { limitBytes: 4096 * KIB });
      expect(readAll(reader.lookup(`${PREFIX}/${length}`)[0]!.body)).toEqual(bytes);
    }
  }));
