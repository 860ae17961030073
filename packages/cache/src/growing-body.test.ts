import { describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { GrowingBody } from "./growing-body.ts";
import { MemoryStorage } from "./storage/memory-storage.ts";
import { NO_EVENTS, openDisk } from "./storage/test-support.ts";
import { TieredStorage } from "./storage/tiered-storage.ts";

const MEMORY = 80 * 1024; // bodies up to 10 KiB
const DISK = 400 * 1024; // bodies up to 100 KiB

function byteAt(position: number): number {
  return (position * 7 + (position >> 8)) % 253;
}

function read(body: GrowingBody, from: number, bytes: number): Uint8Array {
  const into = new Uint8Array(bytes);
  for (let done = 0; done < bytes; ) {
    const count = body.read(from + done, into.subarray(done));
    if (count === 0) throw new Error(`nothing at ${from + done}`);
    done += count;
  }
  return into;
}

describe("GrowingBody", () => {
  test("any sequence of appends and reads gives the right bytes, in memory, moved to disk, and as a window", () => {
    const directory = mkdtempSync(join(tmpdir(), "webproxy-growing-"));
    const seed = Date.now();
    try {
      const chunks = fc.array(fc.integer({ min: 1, max: 30_000 }), { minLength: 1, maxLength: 12 });
      fc.assert(
        fc.property(chunks, fc.boolean(), fc.boolean(), (sizes, kept, said) => {
          const memory = new MemoryStorage(MEMORY, NO_EVENTS);
          const disk = openDisk(join(directory, "store"), { limitBytes: DISK });
          const total = sizes.reduce((sum, size) => sum + size, 0);
          const storage = new TieredStorage(
            { memory, disk },
            () => {},
            () => 0,
          );
          const body = new GrowingBody(storage, said ? total : undefined, kept);
          body.retain();
          let position = 0;
          for (const size of sizes) {
            const from = position;
            body.append(Uint8Array.from({ length: size }, (_, index) => byteAt(from + index)));
            position += size;
            expect(body.bytes).toBe(position);
            const start = Math.max(body.firstByte, position - 40_000);
            expect(read(body, start, position - start).every((byte, index) => byte === byteAt(start + index))).toBe(
              true,
            );
            if (position > 60_000) body.dropBefore(position - 50_000);
          }
          expect(body.tier === undefined).toBe(!kept || total > DISK / 4);
          body.abandon();
          expect(read(body, position - 1, 1)[0]).toBe(byteAt(position - 1));
          body.release();
          expect([memory.usedBytes, disk.usedBytes, storage.windows.usedBytes]).toEqual([0, 0, 0]);
          expect(readdirSync(join(directory, "store", "incoming", "0"))).toEqual([]);
          disk.close();
        }),
        { seed, numRuns: 60 },
      );
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }, 60_000);
});
