import { expect, test } from "bun:test";
import { testName } from "../test/names.ts";
import { FREE_QUEUE_IDS_MAX, FreeQueue } from "./free-queue.ts";
import { MessageQueue } from "./message-queue.ts";

// How it works: a model (a multiset of ids) is driven through random puts and takes of random sizes beside the queue; the
// queue may order as it likes, but it may neither lose, nor double, nor refuse an id.
test("FreeQueue holds 2,048 ids in 10 messages and neither loses nor doubles one", () => {
  const { SEED } = process.env;
  const seed = Number(SEED ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`seed ${seed}`);
  let state = seed;
  const random = (below: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >>> 8) % below;
  };
  const name = testName();
  const queue = FreeQueue.create(name);
  try {
    const out: number[] = Array.from({ length: FREE_QUEUE_IDS_MAX }, (_, id) => id);
    const inside = new Set<number>();
    for (let step = 0; step < 20_000; step++) {
      if (random(2) === 0 && out.length > 0) {
        const ids = out.splice(0, 1 + random(step % 100 === 0 ? out.length : 9));
        queue.put(ids);
        for (const id of ids) inside.add(id);
      } else {
        const count = 1 + random(9);
        const ids = queue.take(count);
        if (inside.size > 0) expect(ids.length).toBeGreaterThan(0);
        expect(ids.length).toBeLessThanOrEqual(count);
        for (const id of ids) expect(inside.delete(id)).toBe(true);
        out.push(...ids);
      }
    }
    queue.put(out);
    expect(queue.drain().sort((a, b) => a - b)).toEqual(Array.from({ length: FREE_QUEUE_IDS_MAX }, (_, id) => id));
    expect(queue.take(1)).toEqual([]);
    queue.fill(Array.from({ length: FREE_QUEUE_IDS_MAX }, (_, id) => id));
    expect(queue.drain()).toHaveLength(FREE_QUEUE_IDS_MAX);
  } finally {
    MessageQueue.unlink(name);
    queue.close();
  }
});
