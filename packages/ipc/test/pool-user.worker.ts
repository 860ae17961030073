import { parentPort } from "node:worker_threads";
import { type ObjectName, SegmentPool } from "../src/index.ts";

/**
 * Takes and gives back segments of a pool, and writes its own mark into each word of what it holds, to see whether anybody
 * else writes there at the same time. Some it replaces. With `leave: false` it ends up holding 2 and waits to be ended.
 */
export interface PoolUserTask {
  readonly prefix: ObjectName;
  readonly mark: number;
  readonly rounds: number;
  readonly leave: boolean;
}

parentPort?.on("message", async ({ prefix, mark, rounds, leave }: PoolUserTask) => {
  const pool = SegmentPool.open(prefix);
  const member = pool.join();
  for (let round = 0; round < rounds; round++) {
    const segment = await member.take({ timeoutMs: 20_000 });
    if (segment === undefined) throw new Error(`member ${mark} starved in round ${round}`);
    if (Atomics.exchange(segment.i32, 16, mark) !== 0) throw new Error(`segment ${segment.id} has two holders`);
    if (round % 3 === 0) await Promise.resolve();
    if (round % 64 === 0) await new Promise(setImmediate);
    if (Atomics.exchange(segment.i32, 16, 0) !== mark) throw new Error(`segment ${segment.id} has two holders`);
    if (round % 97 === 0) member.replace(segment);
    else member.giveBack(segment);
  }
  if (leave) {
    pool.close();
  } else {
    await member.take();
    await member.take();
  }
  parentPort?.postMessage({ slot: member.slot });
});
