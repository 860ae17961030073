import { DiskStorage } from "./disk-storage.ts";
import { type Fault, type FaultKind, FaultyFileSystem } from "./faulty-file-system.ts";
import { MemoryStorage } from "./memory-storage.ts";
import { bytesOf, KIB, PREFIX, put } from "./test-support.ts";
import { TieredStorage } from "./tiered-storage.ts";

/** Every body that the origin ever had under each target of the script, the last one last. */
export const ORIGIN: Readonly<Record<string, readonly Uint8Array[]>> = {
  "/small": [bytesOf(3000, 1), bytesOf(3100, 2), bytesOf(2900, 3)],
  "/large": [bytesOf(90_000, 4), bytesOf(70_001, 5)],
  "/renewed": [bytesOf(20_000, 6)],
  "/invalidated": [bytesOf(5000, 7)],
  "/copied": [bytesOf(9000, 8), bytesOf(9001, 9)],
  "/empty": [new Uint8Array(0)],
};

/**
 * A short life of a store in which everything happens that writes: storing, replacing, renewing, invalidating, copying from memory, evicting. The
 * fault, if any, happens on the way; calls that throw are left as a shard would leave them.
 *
 * @returns How many calls changed something.
 */
export function live(directory: string, fault?: Fault): number {
  const files = new FaultyFileSystem(fault);
  let nowMs = 0;
  const attempt = (what: () => void) => {
    nowMs += 60_000; // a medium that has failed is tried again
    try {
      what();
    } catch {
      // Stopped: nothing that follows does anything either.
    }
  };
  attempt(() => {
    const disk = new DiskStorage({
      directory,
      shard: 0,
      owns: () => true,
      limitBytes: 4096 * KIB,
      nowMs: () => nowMs,
      onEvict: () => {},
      onFault: () => {},
      onMedium: () => {},
      onBroken: () => {},
      files,
    });
    while (disk.listNext());
    const memory = new MemoryStorage(1024 * KIB, {
      onEvict: (slot, response) => disk.copies.uncover(slot, response),
      onRemove: (slot) => disk.copies.drop(slot),
    });
    const storage = new TieredStorage(
      { memory, disk },
      () => {},
      () => nowMs,
    );
    const copied = (version: number) => {
      storage.touch(put(memory, `${PREFIX}/copied`, ORIGIN["/copied"]![version]!)!);
      storage.writeBehind!.run(1);
    };
    attempt(() => put(disk, `${PREFIX}/small`, ORIGIN["/small"]![0]!));
    attempt(() => put(disk, `${PREFIX}/large`, ORIGIN["/large"]![0]!));
    attempt(() => put(disk, `${PREFIX}/renewed`, ORIGIN["/renewed"]![0]!));
    attempt(() => put(disk, `${PREFIX}/invalidated`, ORIGIN["/invalidated"]![0]!));
    attempt(() => put(disk, `${PREFIX}/empty`, ORIGIN["/empty"]![0]!));
    attempt(() => copied(0));
    attempt(() => put(disk, `${PREFIX}/small`, ORIGIN["/small"]![1]!));
    attempt(() => {
      const [response] = disk.lookup(`${PREFIX}/renewed`);
      response?.fields.set("Cache-Control", `max-age=${"9".repeat(9)}`);
      response?.fields.remove("etag");
      if (response !== undefined) disk.renewed(response);
    });
    attempt(() => storage.invalidate(`${PREFIX}/invalidated`));
    attempt(() => put(disk, `${PREFIX}/large`, ORIGIN["/large"]![1]!));
    attempt(() => copied(1));
    attempt(() => put(disk, `${PREFIX}/small`, ORIGIN["/small"]![2]!));
  });
  return files.calls;
}

if (import.meta.main) {
  const [directory, kind, at] = process.argv.slice(2);
  live(directory!, { kind: kind as FaultKind, at: Number(at) });
}
