import { type PoolMember, SegmentPool } from "../../packages/ipc/src/index.ts";
import { benchName, printMachine } from "./measure.ts";

/** What does taking a segment from the pool and giving it back cost, alone, and in bursts that the member's stock does not cover? */
const ROUNDS = 300_000;
const SEGMENTS = 64;

printMachine(`a pool of ${SEGMENTS} segments of 4 KiB: take and give back, one member`);
const startMs = performance.now();
const pool = SegmentPool.create(benchName("pool"), { segments: SEGMENTS, segmentBytes: 4096 });
try {
  console.log(`create            ${(performance.now() - startMs).toFixed(1)} ms`);
  const member = pool.join();
  for (const burst of [1, 4, 32])
    console.log(`${String(burst).padStart(2)} at a time      ${measure(member, burst).toFixed(0)} ns each`);
} finally {
  pool.unlink();
  pool.close();
}

function measure(member: PoolMember, burst: number): number {
  let bestNanoseconds = Number.POSITIVE_INFINITY;
  for (let run = 0; run < 5; run++) {
    const start = Bun.nanoseconds();
    for (let done = 0; done < ROUNDS; done += burst) exchange(member, burst);
    bestNanoseconds = Math.min(bestNanoseconds, (Bun.nanoseconds() - start) / ROUNDS);
  }
  return bestNanoseconds;
}

function exchange(member: PoolMember, burst: number): void {
  const taken = Array.from({ length: burst }, () => member.tryTake());
  for (const segment of taken) {
    if (segment === undefined) throw new Error("the pool is empty");
    member.giveBack(segment);
  }
}
