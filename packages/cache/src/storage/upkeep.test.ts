import { expect, test } from "bun:test";
import type { StoredResponse } from "../stored-response.ts";
import type { DiskStorage } from "./disk-storage.ts";
import { MemoryStorage } from "./memory-storage.ts";
import { bytesOf, KIB, openDisk, PREFIX, put, responsesIn, responseTo, withDirectory } from "./test-support.ts";
import { TieredStorage } from "./tiered-storage.ts";
import { turnFor, Upkeep } from "./upkeep.ts";

const DAY_SECONDS = 86_400;

test("turnFor() gives copies most time while nobody asks, less while somebody does, and least while more is missed than could be copied", () => {
  const before = { requests: 1000, misses: 500 };
  const idle = turnFor(before, before);
  const hits = turnFor(before, { requests: 2000, misses: 500 });
  const misses = turnFor(before, { requests: 2000, misses: 510 });
  const flood = turnFor(before, { requests: 2000, misses: 600 });
  expect(idle.copyMs).toBeGreaterThan(hits.copyMs);
  expect(misses).toEqual(hits);
  expect(flood.copyMs).toBeLessThan(hits.copyMs);
  expect(flood.moveMs).toBe(hits.moveMs);
  expect(flood.copyMs).toBeGreaterThan(0);
});

function putWithoutValidator(tier: MemoryStorage | DiskStorage, target: string): StoredResponse {
  const body = tier.newBody(1000)!;
  body.append(bytesOf(1000, 1));
  const response = responseTo(PREFIX + target, body);
  response.fields.remove("etag");
  tier.store(response);
  body.release();
  return response;
}

test("Upkeep.sweep() drops from both tiers what is of no use any more, and leaves what can be validated or is read", () =>
  withDirectory((directory) => {
    const disk = openDisk(directory, { limitBytes: 4096 * KIB });
    const memory = new MemoryStorage(1024 * KIB, { onEvict: () => {}, onRemove: (slot) => disk.copies.drop(slot) });
    const nowMs = () => performance.now();
    const storage = new TieredStorage({ memory, disk }, () => {}, nowMs);
    const upkeep = new Upkeep({ memory, disk }, storage, nowMs, () => ({ requests: 0, misses: 0 }));
    for (const [name, tier] of Object.entries({ memory, disk })) {
      putWithoutValidator(tier, `/${name}/useless`);
      const read = putWithoutValidator(tier, `/${name}/read`);
      tier.adopt(read);
      read.body.retain();
      put(tier, `${PREFIX}/${name}/validated`, bytesOf(1000, 1));
    }
    const staleSeconds = Date.UTC(2026, 10, 22, 12) / 1000 + 600;
    upkeep.sweep(staleSeconds + DAY_SECONDS - 1);
    expect([memory.count, disk.count]).toEqual([3, 3]);
    upkeep.sweep(staleSeconds + DAY_SECONDS + 1);
    for (const tier of [memory, disk]) {
      const left = responsesIn(tier).map(({ key }) => key.slice(key.lastIndexOf("/")));
      expect(left.sort()).toEqual(["/read", "/validated"]);
    }
    upkeep.stop();
    storage.close();
  }));
