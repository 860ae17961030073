import { describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Fields } from "@proj/protocol";
import type { StoredResponse } from "../stored-response.ts";
import type { BodyStore } from "./body-store.ts";
import { DiskStorage } from "./disk-storage.ts";
import { Loans } from "./loans.ts";
import { MemoryStorage } from "./memory-storage.ts";
import type { Storage } from "./storage.ts";
import { TieredStorage } from "./tiered-storage.ts";

const KIB = 1024;
const LIMIT = 256 * KIB;

function bytesOf(length: number, seed: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, index) => (index * 31 + seed) % 251);
}

function responseTo(key: string, body: BodyStore, varyKey = ""): StoredResponse {
  return {
    key,
    stripe: 0,
    variant: { varyNames: varyKey === "" ? [] : ["accept"], varyKey, byLanguage: undefined },
    status: 200,
    fields: new Fields(),
    headBlock: new Uint8Array(2),
    freshness: {} as StoredResponse["freshness"],
    tags: [],
    quietUntilMs: 0,
    body,
    bodyBytes: body.bytes,
  };
}

function put(storage: Storage, key: string, bytes: Uint8Array, varyKey = ""): StoredResponse | undefined {
  const body = storage.newBody(bytes.length);
  if (body === undefined) return undefined;
  for (let at = 0; at < bytes.length; at += 7000) if (!body.append(bytes.subarray(at, at + 7000))) return undefined;
  const response = responseTo(key, body, varyKey);
  const stored = storage.store(response);
  body.release();
  return stored ? response : undefined;
}

function readAll(body: BodyStore): Uint8Array<ArrayBuffer> {
  const into = new Uint8Array(body.bytes);
  body.retain();
  for (let at = 0; at < into.length; ) at += body.read(at, into.subarray(at, at + 10_000));
  body.release();
  return into;
}

function withDirectory<T>(use: (directory: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), "webproxy-storage-"));
  try {
    return use(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
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
        storage.close();
        expect(storage.usedBytes).toBe(0);
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
        storage.close();
        expect(storage.usedBytes).toBe(0);
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
        expect(arriving.append(bytesOf(LIMIT - 1000, 1))).toBe(true);
        const second = storage.newBody(undefined)!;
        expect(second.append(bytesOf(2000, 1))).toBe(false);
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

storageContract("MemoryStorage", (run) => run((onEvict = () => {}) => new MemoryStorage(LIMIT, onEvict)));
storageContract("MemoryStorage that lends", (run) => {
  const prefix = `test-${process.pid}-${crypto.randomUUID().slice(0, 8)}-body`;
  // A lower bound than in use: every body but the smallest is an object of its own.
  const loans = new Loans(
    (loan) => `/${prefix}.${loan}`,
    () => {},
    100,
  );
  run((onEvict = () => {}) => new MemoryStorage(LIMIT, onEvict, loans));
  expect(readdirSync("/dev/shm").filter((name) => name.startsWith(prefix))).toEqual([]);
  expect(loans.count).toBe(0);
});
storageContract("DiskStorage", (run) =>
  withDirectory((directory) =>
    run(
      (onEvict = () => {}) =>
        new DiskStorage(join(directory, "shard"), LIMIT, onEvict, (error) => {
          throw error;
        }),
    ),
  ),
);

test("MemoryStorage takes larger bodies where there is no disk tier for them", () => {
  const nothing = () => {};
  expect(new MemoryStorage(LIMIT, nothing).bodyBytesMax).toBe(LIMIT / 8);
  expect(new MemoryStorage(LIMIT, nothing, undefined, true).bodyBytesMax).toBe(LIMIT / 2);
});

describe("DiskStorage", () => {
  test("removes bodies of a former life, leaves everything else alone, and takes its own away", () =>
    withDirectory((directory) => {
      writeFileSync(join(directory, "a1.body"), "old");
      writeFileSync(join(directory, "notes.txt"), "mine");
      const storage = new DiskStorage(
        directory,
        LIMIT,
        () => {},
        () => {},
      );
      expect(readdirSync(directory)).toEqual(["notes.txt"]);
      put(storage, "/a", bytesOf(100, 1));
      expect(readdirSync(directory)).toHaveLength(2);
      storage.close();
      expect(readdirSync(directory)).toEqual(["notes.txt"]);
    }));

  test("a body file that somebody has shortened is an error, not other bytes", () =>
    withDirectory((directory) => {
      const storage = new DiskStorage(
        directory,
        LIMIT,
        () => {},
        () => {},
      );
      const stored = put(storage, "/a", bytesOf(5000, 1))!;
      const [file] = readdirSync(directory);
      writeFileSync(join(directory, file!), "short");
      expect(() => readAll(stored.body)).toThrow("the file ends before its 5000 bytes");
      storage.close();
    }));

  test("a directory that has gone is told and the body not taken", () =>
    withDirectory((directory) => {
      const faults: Error[] = [];
      const storage = new DiskStorage(
        join(directory, "gone"),
        LIMIT,
        () => {},
        (error) => faults.push(error),
      );
      rmSync(join(directory, "gone"), { recursive: true });
      expect(storage.newBody()).toBeUndefined();
      expect(faults).toHaveLength(1);
      storage.close();
      expect(existsSync(join(directory, "gone"))).toBe(false);
    }));
});

describe("TieredStorage", () => {
  test("places a body in the first tier that takes one of its length", () =>
    withDirectory((directory) => {
      const memory = new MemoryStorage(64 * KIB, () => {});
      const disk = new DiskStorage(
        directory,
        LIMIT,
        () => {},
        () => {},
      );
      const storage = new TieredStorage([memory, disk], () => {});
      expect(storage.placeFor(1 * KIB)?.storage).toBe(memory);
      expect(storage.placeFor(10 * KIB)?.storage).toBe(disk);
      expect(storage.placeFor(undefined)?.storage).toBe(memory);
      expect(storage.placeFor(1 * KIB, memory)?.storage).toBe(disk);
      expect(storage.placeFor(LIMIT)).toBeUndefined();
      storage.close();
    }));
});
