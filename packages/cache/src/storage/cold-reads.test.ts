/**
 * Bodies on a disk that has nothing at hand. Readers take them in pieces of any length while others purge, replace, evict, cut and damage the files, in any order; reads end
 * in any order too. A reader gets the bytes of the version that he began with, or an error: never others, and never nothing for ever.
 */
import { describe, expect, test } from "bun:test";
import { openSync, truncateSync, writeSync } from "node:fs";
import type { StoredResponse } from "../stored-response.ts";
import type { BodyFile } from "./body-file.ts";
import { BrokenBodyError } from "./body-file.ts";
import type { BodyStore } from "./body-store.ts";
import type { DiskStorage } from "./disk-storage.ts";
import { BLOCK_BYTES } from "./entry-tail.ts";
import { SlowFileSystem } from "./slow-file-system.ts";
import { bytesOf, KIB, openDisk, PREFIX, put, withDirectory } from "./test-support.ts";

const LIMIT = 16 * 1024 * KIB;
const LENGTHS = [1, 4000, BLOCK_BYTES, BLOCK_BYTES + 1, 5 * BLOCK_BYTES, 7 * BLOCK_BYTES + 123];

/** Reads `body` as a transfer does: what is at hand, then what is loaded. The caller holds it. */
async function readSlowly(body: BodyStore, pieceBytes: number): Promise<Uint8Array> {
  const into = new Uint8Array(body.bytes);
  for (let at = 0; at < into.length; ) {
    const count = body.read(at, into.subarray(at, at + pieceBytes), "at-hand");
    if (count === 0) await body.load!(at, Math.min(pieceBytes, into.length - at));
    at += count;
  }
  return into;
}

/** The promise's outcome, with the reads ended that it waits for. */
async function whileReading<T>(files: SlowFileSystem, promise: Promise<T>): Promise<T> {
  let isOver = false;
  const over = () => {
    isOver = true;
  };
  promise.then(over, over);
  for (let tries = 0; !isOver; tries++) {
    if (tries > 10_000) throw new Error("It waits for ever");
    await files.end();
  }
  return promise;
}

function open(directory: string, broken: Error[] = []): { disk: DiskStorage; files: SlowFileSystem } {
  const files = new SlowFileSystem();
  const onBroken = (error: Error) => void broken.push(error);
  return { files, disk: openDisk(directory, { limitBytes: LIMIT, files, onBroken }) };
}

describe("a body that is not at hand", () => {
  test("comes with every byte, whatever the pieces", () =>
    withDirectory(async (directory) => {
      for (const length of LENGTHS) put(open(directory).disk, `${PREFIX}/${length}`, bytesOf(length, length));
      const { disk, files } = open(directory);
      for (const length of LENGTHS) {
        const { body } = disk.lookup(`${PREFIX}/${length}`)[0]!;
        for (const pieceBytes of [1000, BLOCK_BYTES, 200_000, 1_000_000]) {
          body.retain();
          expect(body.read(0, new Uint8Array(10), "at-hand")).toBe(0);
          expect(await whileReading(files, readSlowly(body, pieceBytes))).toEqual(bytesOf(length, length));
          body.release();
        }
        expect(body.load!(length, 1)).toBeUndefined();
      }
    }));

  test("comes while it still arrives, as far as it is there", () =>
    withDirectory(async (directory) => {
      const { disk, files } = open(directory);
      const bytes = bytesOf(3 * BLOCK_BYTES, 1);
      const body = disk.newBody()!;
      for (let at = 0; at < bytes.length; at += 50_001) {
        body.append(bytes.subarray(at, at + 50_001));
        expect(await whileReading(files, readSlowly(body, 70_000))).toEqual(bytes.subarray(0, body.bytes));
      }
      body.discard();
      body.release();
      expect(disk.usedBytes).toBe(0);
    }));

  test("is read once for all who wait for the same bytes, and not for those who have gone before their turn", () =>
    withDirectory(async (directory) => {
      const { disk, files } = open(directory);
      const bodies = Array.from(
        { length: 12 },
        (_, index) => put(disk, `${PREFIX}/${index}`, bytesOf(5000, index))!.body,
      );
      for (const body of bodies) body.retain();
      const first = [1, 2, 3].map(() => readSlowly(bodies[0]!, 10_000));
      const others = bodies.slice(1).map((body) => body.load!(0, 10));
      expect(files.reading).toBe(4);
      for (const body of bodies.slice(1)) body.release();
      while (await files.end());
      await Promise.all(others);
      expect(await whileReading(files, Promise.all(first))).toEqual([0, 0, 0].map(() => bytesOf(5000, 0)));
      bodies[0]!.release();
      expect(bodies.some(({ isHeld }) => isHeld)).toBe(false);
    }));

  test("is not read any more when the store ends, which waits for the reads that are under way", () =>
    withDirectory(async (directory) => {
      const { disk, files } = open(directory);
      const bodies = Array.from(
        { length: 6 },
        (_, index) => put(disk, `${PREFIX}/${index}`, bytesOf(5000, index))!.body,
      );
      for (const body of bodies) body.retain();
      const loads = bodies.map((body) => body.load!(0, 10));
      let isOver = false;
      const over = disk.endReads().then(() => {
        isOver = true;
      });
      for (const left of [3, 2, 1, 0]) {
        expect([isOver, await files.end(), files.reading]).toEqual([false, true, left]);
      }
      await Promise.all([over, ...loads]);
      expect(bodies.map((body) => body.read(0, new Uint8Array(10), "at-hand"))).toEqual([10, 10, 10, 10, 0, 0]);
      for (const body of bodies) body.release();
    }));

  test("that is purged or replaced while it is read comes from the file that it was; its room is given back after that", () =>
    withDirectory(async (directory) => {
      const { disk, files } = open(directory);
      const { body } = put(disk, `${PREFIX}/a`, bytesOf(300_000, 1))!;
      body.retain();
      const read = readSlowly(body, 100_000);
      put(disk, `${PREFIX}/a`, bytesOf(300_000, 2));
      expect(await whileReading(files, read)).toEqual(bytesOf(300_000, 1));
      const load = body.load!(0, 10);
      body.release();
      expect(disk.invalidate(`${PREFIX}/a`)).toBe(1);
      expect(disk.usedBytes).toBeGreaterThan(0);
      while (await files.end());
      await load;
      expect([disk.usedBytes, disk.count]).toEqual([0, 0]);
    }));

  test("that is cut or damaged while it is read is an error, told once, and gone", () =>
    withDirectory(async (directory) => {
      const damages = [
        (path: string) => truncateSync(path, 100_000),
        (path: string) => void writeSync(openSync(path, "r+"), Uint8Array.of(0xff), 0, 1, 150_000),
      ];
      for (const damage of damages) {
        const broken: Error[] = [];
        const { disk, files } = open(directory, broken);
        const { body } = put(disk, `${PREFIX}/a`, bytesOf(300_000, 1))!;
        body.retain();
        const reads = Promise.allSettled([1, 2].map(() => readSlowly(body, 60_000)));
        damage((body as BodyFile).path);
        for (const read of await whileReading(files, reads)) {
          expect(read).toMatchObject({ status: "rejected", reason: expect.any(BrokenBodyError) });
        }
        body.release();
        expect([broken.length, disk.count, disk.usedBytes, files.reading]).toEqual([1, 0, 0, 0]);
      }
    }));

  test("that can not be read just now stays", () =>
    withDirectory(async (directory) => {
      const files = new SlowFileSystem();
      const faults: Error[] = [];
      const onFault = (error: Error) => void faults.push(error);
      const disk = openDisk(directory, { limitBytes: LIMIT, files, onFault, onMedium: () => {} });
      const { body } = put(disk, `${PREFIX}/a`, bytesOf(5000, 1))!;
      body.retain();
      files.failure = Object.assign(new Error("ENOMEM: no memory"), { code: "ENOMEM" });
      await expect(whileReading(files, readSlowly(body, 9000))).rejects.toThrow("ENOMEM");
      expect(await whileReading(files, readSlowly(body, 9000))).toEqual(bytesOf(5000, 1));
      body.release();
      expect([faults.length, disk.count]).toEqual([1, 1]);
    }));

  test.each([false, true])(
    "among many, in any order, is itself or an error (opened slowly: %p)",
    (opensSlowly) =>
      withDirectory(async (directory) => {
        const seed = Math.floor(Math.random() * 2 ** 31);
        console.log(`cold bodies: seed ${seed}`);
        let state = seed;
        const random = (below: number) => {
          state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
          return (state >>> 8) % below;
        };
        const { disk, files } = open(directory);
        files.opensSlowly = opensSlowly;
        const cut = new Set<BodyStore>();
        const readers = new Set<Promise<void>>();
        let wrong = 0;
        const begin = ({ body, tags: [seedTag] }: StoredResponse) => {
          body.retain();
          const expected = bytesOf(body.bytes, Number(seedTag));
          const check = (bytes: Uint8Array) => void (Buffer.compare(bytes, expected) !== 0 && wrong++);
          const reader = readSlowly(body, 1 + random(300_000))
            .then(check, () => void (cut.has(body) || wrong++))
            .finally(() => {
              body.release();
              readers.delete(reader);
            });
          readers.add(reader);
        };
        for (let step = 0; step < 600; step++) {
          const key = `${PREFIX}/${random(30)}`;
          const found = disk.lookup(key)[0];
          const what = random(10);
          if (found === undefined || what === 0) {
            const version = random(250);
            const stored = put(disk, key, bytesOf(LENGTHS[random(LENGTHS.length)]!, version));
            if (stored !== undefined) stored.tags = [String(version)];
          } else if (what === 1) disk.invalidate(key);
          else if (what === 2) disk.evict();
          else if (what === 3 && random(10) === 0) {
            truncateSync((found.body as BodyFile).path, random(found.bodyBytes));
            cut.add(found.body);
          } else if (what < 7 && readers.size < 60) begin(found);
          else if (files.reading > 0) await files.end(random(files.reading));
        }
        while (readers.size > 0) await whileReading(files, Promise.race(readers));
        expect([wrong, files.reading]).toEqual([0, 0]);
        for (let index = 0; index < 30; index++) disk.invalidate(`${PREFIX}/${index}`);
        expect([disk.count, disk.usedBytes]).toEqual([0, 0]);
      }),
    60_000,
  );
});
