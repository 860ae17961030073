/** Records of random lengths come and go in a log whose room is as small as it may be; a plain map beside it says what each holds. */
import { describe, expect, test } from "bun:test";
import { RecordLog } from "./record-log.ts";

const LIMIT = 1024 * 1024;

/** A room of so many bytes, whose owner lets the oldest records go when it is full, as a tier does. */
class TestRoom {
  usedBytes = 0;
  readonly limitBytes: number;
  log: RecordLog | undefined;
  evict: () => boolean = () => false;

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes;
  }

  take(bytes: number): boolean {
    while (this.usedBytes + bytes > this.limitBytes) if (this.log?.reclaim() !== true && !this.evict()) return false;
    this.usedBytes += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.usedBytes -= bytes;
  }
}

function add(log: RecordLog, length: number, seed = 0): number | undefined {
  return log.add(new Uint8Array(length).fill(seed % 256), length);
}

function expectFilled(log: RecordLog, id: number, length: number, seed: number): void {
  expect(log.lengthOf(id)).toBe(length);
  const bytes = new Uint8Array(length);
  log.read(id, 0, bytes, length);
  expect(bytes.every((byte) => byte === seed % 256)).toBe(true);
}

describe("RecordLog", () => {
  test("keeps what it is given through any number of additions and removals, within its room", () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    console.log(`records: seed ${seed}`);
    let state = seed | 1;
    const random = () => {
      state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9;
      return (state >>> 0) / 2 ** 32;
    };
    const room = new TestRoom(LIMIT);
    const log = new RecordLog(room, LIMIT);
    room.log = log;
    const records = new Map<number, { length: number; seed: number }>();
    let liveBytes = 0;
    const drop = (id: number) => {
      liveBytes -= log.takenBytes(records.get(id)!.length);
      records.delete(id);
      log.free(id);
    };
    room.evict = () => {
      const [oldest] = records.keys();
      if (oldest === undefined) return false;
      drop(oldest);
      return true;
    };
    let leastLiveBytes = LIMIT;
    for (let step = 0; step < 30_000; step++) {
      // Small ones for a while, then large ones: what one length leaves the other has to be able to use.
      const lengthMax = Math.floor(step / 5000) % 2 === 0 ? 300 : log.recordBytesMax;
      if (random() < 0.7) {
        const length = Math.floor(random() * (lengthMax + 1));
        const id = add(log, length, step)!;
        records.set(id, { length, seed: step });
        liveBytes += log.takenBytes(length);
      } else if (records.size > 0) {
        const ids = [...records.keys()];
        drop(ids[Math.floor(random() * ids.length)]!);
      }
      expect(room.usedBytes).toBeLessThanOrEqual(LIMIT);
      expect(log.count).toBe(records.size);
      if (lengthMax > 300 && step % 5000 > 4000) leastLiveBytes = Math.min(leastLiveBytes, liveBytes);
      if (step % 1000 !== 0) continue;
      for (const [id, { length, seed }] of records) expectFilled(log, id, length, seed);
    }
    // An eighth is dead or kept in reserve at most, and the ends of segments lose half a large record each.
    expect(leastLiveBytes).toBeGreaterThan(LIMIT * 0.75);
    for (const id of [...records.keys()]) drop(id);
    expect(room.usedBytes).toBe(0);
  }, 60_000);

  test("an id that has been another's is told by its generation", () => {
    const log = new RecordLog(new TestRoom(LIMIT), LIMIT);
    const first = add(log, 10)!;
    const generation = log.generation(first);
    log.free(first);
    expect(add(log, 20)).toBe(first);
    expect(log.generation(first)).not.toBe(generation);
  });

  test("takes no record that is too long, and none without room", () => {
    const room = new TestRoom(LIMIT / 64);
    const log = new RecordLog(room, LIMIT);
    expect(add(log, log.recordBytesMax + 1)).toBeUndefined();
    expect(add(log, 10)).toBeUndefined();
    expect(room.usedBytes).toBe(0);
  });
});
