import { describe, expect, test } from "bun:test";
import { WindowRoom } from "./window-room.ts";

const MIB = 1024 * 1024;

describe("WindowRoom", () => {
  test("lets each body run ahead by 1 MiB, and by no more than the next portion once all of them have 8 MiB", () => {
    const room = new WindowRoom();
    expect(room.take(8 * MIB)).toBe(true);
    expect(room.aheadBytesMax).toBe(MIB);
    expect(room.take(1)).toBe(true);
    expect(room.aheadBytesMax).toBe(64 * 1024);
    room.giveBack(8 * MIB + 1);
    expect([room.aheadBytesMax, room.usedBytes]).toEqual([MIB, 0]);
  });

  test("has 16 MiB of a body held back, and 1 MiB once all of them have 64 MiB", () => {
    const room = new WindowRoom();
    room.take(64 * MIB);
    expect([room.mayHoldBack(16 * MIB), room.mayHoldBack(16 * MIB + 1)]).toEqual([true, false]);
    room.take(1);
    expect([room.mayHoldBack(MIB), room.mayHoldBack(MIB + 1)]).toEqual([true, false]);
  });
});
