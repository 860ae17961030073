/** Metadata on a disk that has no file at hand: it is read by other threads, while others look the same up, change it or drop it. */
import { describe, expect, test } from "bun:test";
import { truncateSync, writeFileSync } from "node:fs";
import type { BodyFile } from "./body-file.ts";
import type { DiskStorage, DiskStorageOptions } from "./disk-storage.ts";
import { SlowFileSystem } from "./slow-file-system.ts";
import { bytesOf, KIB, openDisk, PREFIX, put, readAll, withDirectory } from "./test-support.ts";

const LIMIT = 1024 * KIB;
const KEY = `${PREFIX}/a`;
const BYTES = bytesOf(5000, 1);

/** Another life of a store in which {@link KEY} is, with nothing at hand. */
function reopened(
  directory: string,
  options: Partial<DiskStorageOptions> = {},
): { disk: DiskStorage; files: SlowFileSystem } {
  put(openDisk(directory, { limitBytes: LIMIT }), KEY, BYTES);
  const files = new SlowFileSystem();
  files.opensSlowly = true;
  return { files, disk: openDisk(directory, { limitBytes: LIMIT, files, ...options }) };
}

/** From now on nothing may be opened by the thread itself. */
function forbidToWait(files: SlowFileSystem): void {
  files.open = (path) => {
    throw new Error(`The thread waits for ${path}`);
  };
}

async function endAll(files: SlowFileSystem): Promise<void> {
  while (await files.end());
}

function fieldsOf(disk: DiskStorage): (string | undefined)[] {
  return disk.lookup(KEY).map(({ fields }) => fields.get("x-version"));
}

describe("metadata that is not at hand", () => {
  test("is read by another thread, once for all who wait for it; after that it is looked up without waiting", () =>
    withDirectory(async (directory) => {
      const { disk, files } = reopened(directory);
      const bringing = Promise.all([1, 2, 3].map(() => disk.bring(KEY)));
      expect(files.reading).toBe(1);
      await endAll(files);
      await bringing;
      forbidToWait(files);
      expect(disk.lookup(KEY)).toMatchObject([{ key: KEY, bodyBytes: BYTES.length }]);
      expect(disk.bring(KEY)).toBeUndefined();
    }));

  test("is not waited for where it is at hand, known, or not there", () =>
    withDirectory((directory) => {
      const { disk, files } = reopened(directory);
      files.opensSlowly = false;
      files.readAtHand = (fildes, into, position) => files.read(fildes, into, position);
      expect([disk.bring(KEY), disk.bring(`${PREFIX}/absent`)]).toEqual([undefined, undefined]);
      forbidToWait(files);
      expect(disk.lookup(KEY)).toHaveLength(1);
    }));

  test("is that of all variants, and as long as a long body makes it", () =>
    withDirectory(async (directory) => {
      const before = openDisk(directory, { limitBytes: 512 * 1024 * KIB });
      for (const vary of ["x", "y"]) put(before, KEY, new Uint8Array(40 * 1024 * KIB), vary);
      const files = new SlowFileSystem();
      files.opensSlowly = true;
      const disk = openDisk(directory, { limitBytes: 512 * 1024 * KIB, files });
      const bringing = disk.bring(KEY);
      expect(files.reading).toBe(2);
      await endAll(files);
      await bringing;
      forbidToWait(files);
      expect(disk.lookup(KEY).map(({ bodyBytes }) => bodyBytes)).toEqual([40 * 1024 * KIB, 40 * 1024 * KIB]);
    }));

  test("is nobody's when the response has been replaced, dropped or evicted meanwhile", () =>
    withDirectory(async (directory) => {
      const changes = [
        (disk: DiskStorage) => void put(disk, KEY, bytesOf(6000, 2)),
        (disk: DiskStorage) => void disk.invalidate(KEY),
        (disk: DiskStorage) => {
          disk.evict();
          put(disk, `${PREFIX}/b`, bytesOf(6000, 2)); // in the same slot
        },
      ];
      for (const change of changes) {
        const { disk, files } = reopened(directory);
        const bringing = disk.bring(KEY);
        await files.end();
        change(disk);
        await endAll(files);
        await bringing;
        for (const { key, body } of [...disk.lookup(KEY), ...disk.lookup(`${PREFIX}/b`)]) {
          expect(readAll(body)).toEqual(bytesOf(6000, 2));
          disk.invalidate(key);
        }
        expect([disk.count, disk.usedBytes]).toEqual([0, 0]);
      }
    }));

  test("is nobody's when the response has been renewed meanwhile, also once that has been forgotten again", () =>
    withDirectory(async (directory) => {
      const { disk, files } = reopened(directory);
      const bringing = disk.bring(KEY);
      await files.end();
      const [response] = disk.lookup(KEY);
      response!.fields.set("X-Version", "2");
      disk.renewed(response!);
      disk.copies.shadow(response!, response!.body, 7); // memory takes it, and lets it go again
      disk.copies.uncover(7, () => response!);
      await endAll(files);
      await bringing;
      expect(fieldsOf(disk)).toEqual(["2"]);
    }));

  test("that is cut or damaged is told once, and the response is gone", () =>
    withDirectory(async (directory) => {
      const damages = [
        (path: string) => truncateSync(path, 5010),
        (path: string) => writeFileSync(path, new Uint8Array(9000)),
      ];
      for (const damage of damages) {
        const broken: Error[] = [];
        const onBroken = (error: Error) => void broken.push(error);
        const { path } = put(openDisk(directory, { limitBytes: LIMIT }), KEY, BYTES)!.body as BodyFile;
        const { disk, files } = reopened(directory, { onBroken });
        damage(path);
        const bringing = disk.bring(KEY);
        await endAll(files);
        await bringing;
        expect([broken.length, disk.lookup(KEY), disk.usedBytes]).toEqual([1, [], 0]);
      }
    }));

  test("that can not be read just now stays where it is", () =>
    withDirectory(async (directory) => {
      const { disk, files } = reopened(directory);
      files.failure = Object.assign(new Error("EMFILE: too many open files"), { code: "EMFILE" });
      const bringing = disk.bring(KEY);
      await endAll(files);
      await bringing;
      expect(disk.lookup(KEY)).toHaveLength(1);
    }));

  test("is not read any more when the store ends", () =>
    withDirectory(async (directory) => {
      const keys = Array.from({ length: 6 }, (_, index) => `${PREFIX}/${index}`);
      const before = openDisk(directory, { limitBytes: LIMIT });
      for (const key of keys) put(before, key, BYTES);
      const { disk, files } = reopened(directory);
      const bringing = Promise.all(keys.map((key) => disk.bring(key)));
      expect(files.reading).toBe(4);
      const ended = disk.endReads();
      await endAll(files);
      await Promise.all([bringing, ended]);
      expect(keys.map((key) => disk.bring(key) === undefined)).toEqual([true, true, true, true, false, false]);
    }));
});
