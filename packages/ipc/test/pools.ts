import { expect } from "bun:test";
import { readdirSync } from "node:fs";
import { MessageQueue } from "../src/message-queue.ts";
import { type ObjectName, objectName } from "../src/object-name.ts";
import type { PoolMember } from "../src/pool-member.ts";
import type { Segment } from "../src/segment.ts";
import { SegmentPool } from "../src/segment-pool.ts";
import { testName, watchdog } from "./names.ts";

/** The package's entry, as a script names it that is run by another process. */
export const SOURCE = JSON.stringify(new URL("../src/index.ts", import.meta.url).pathname);

/** What there is in /dev/shm of a pool. */
export function filesOf(prefix: ObjectName): string[] {
  return readdirSync("/dev/shm").filter((file) => file.startsWith(prefix.slice(1)));
}

/** A pool of which nothing is left when `run` is over. */
export async function withPool(
  options: { segments: number; segmentBytes?: number },
  run: (pool: SegmentPool, prefix: ObjectName) => Promise<void> | void,
): Promise<void> {
  const prefix = testName();
  const pool = SegmentPool.create(prefix, { segmentBytes: 4096, ...options });
  try {
    await run(pool, prefix);
  } finally {
    pool.close();
    SegmentPool.unlinkAll(prefix);
  }
  expect(filesOf(prefix)).toEqual([]);
  expect(MessageQueue.unlink(objectName(`${prefix}.free`))).toBe(false);
}

/** The whole truth: every id is free or held, and what is free can be taken exactly once. */
export function expectWhole(pool: SegmentPool, held = 0): void {
  const { free, missing } = pool.counters();
  expect({ free, missing }).toEqual({ free: pool.segments - held, missing: 0 });
  const member = pool.join();
  const segments = takeAll(member);
  expect(new Set(segments.map((segment) => segment.id)).size).toBe(segments.length);
  expect(segments.length).toBe(pool.segments - held);
  for (const segment of segments) member.giveBack(segment);
  member.close();
}

/** All that a member gets without waiting. */
export function takeAll(member: PoolMember): Segment[] {
  const segments: Segment[] = [];
  for (let segment = member.tryTake(); segment !== undefined; segment = member.tryTake()) segments.push(segment);
  return segments;
}

/** One that is there. */
export function take(member: PoolMember): Segment {
  const segment = member.tryTake();
  if (segment === undefined) throw new Error("nothing to take");
  return segment;
}

/** Runs a script as a member of the pool, in a process with a limit, and returns what it prints. */
export async function runLimited(limit: string, prefix: ObjectName, script: string): Promise<string> {
  const source = `
    import { objectName, SegmentPool } from ${SOURCE};
    import { closeSync, openSync } from "node:fs";
    const pool = SegmentPool.open(objectName(${JSON.stringify(prefix)}));
    const member = pool.join();
    ${script}
    pool.close();
  `;
  const child = Bun.spawn(["sh", "-c", `ulimit ${limit}; exec "$0" -e "$1"`, process.execPath, source], {
    stderr: "inherit",
  });
  const output = await watchdog(new Response(child.stdout).text(), "the limited member");
  expect(await child.exited).toBe(0);
  return output.trim();
}
