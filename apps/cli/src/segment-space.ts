import { limits } from "@proj/ipc";
import { cannotRun } from "./command-error.ts";
import { approximateSize, formatSize } from "./size.ts";

/**
 * Refuses a pool that /dev/shm has no room for, before a byte of it is taken. (That the room is still there later is for the pool
 * to see: it allocates each segment.)
 *
 * @throws {CommandError} Exit code 1.
 */
export function requireSegmentSpace(
  { segments, segmentSize }: { segments: number; segmentSize: number },
  space: { path: string; freeBytes: number } | undefined = limits().sharedMemory,
): void {
  const wanted = segments * segmentSize;
  if (space === undefined || wanted <= space.freeBytes) return;
  throw cannotRun(
    `Cannot make ${segments} segments of ${formatSize(segmentSize)} in ${space.path}: they take ${approximateSize(wanted)} and ${approximateSize(space.freeBytes)} are free; give fewer with --segments or smaller ones with --segment-size, look for left-overs with webproxy doctor, or enlarge it (as root: mount -o remount,size=SIZE ${space.path}; in docker: --shm-size=SIZE)`,
  );
}
