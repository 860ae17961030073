import { describe, expect, test } from "bun:test";
import type { ThreadTimes } from "@proj/ipc";
import { LOOK_AFTER_MS, OwnSilence } from "./own-silence.ts";

const WAITS: ThreadTimes = { state: "other", ranMs: 100, waitedMs: 7_000 };

/** The parts of a silence that was looked at each {@link LOOK_AFTER_MS}, when the kernel said these one after the other. */
function partsAfter(looks: readonly Partial<ThreadTimes & { waitedOfAllMs: number }>[]) {
  let times: ThreadTimes & { waitedOfAllMs?: number } = WAITS;
  const own = new OwnSilence({ timesOf: () => times, waitedOfAllMs: () => times.waitedOfAllMs ?? 0 });
  let parts: ReturnType<OwnSilence["parts"]>;
  for (const [index, look] of looks.entries()) {
    times = { ...times, ...look };
    parts = own.parts(0, 1, (index + 1) * LOOK_AFTER_MS);
  }
  return parts;
}

describe("OwnSilence.parts()", () => {
  test("takes off what the thread waited for a processor since it was first looked at, and forgets that once it is heard", () => {
    let times = WAITS;
    const own = new OwnSilence({ timesOf: () => times, waitedOfAllMs: () => 0 });
    expect(own.parts(0, 1, LOOK_AFTER_MS)).toEqual({ ownMs: LOOK_AFTER_MS, diskMs: 0, waitsForDisk: false });
    times = { ...times, waitedMs: times.waitedMs + 400 };
    expect(own.parts(0, 1, LOOK_AFTER_MS + 500)?.ownMs).toBe(LOOK_AFTER_MS + 100);
    expect(own.parts(0, 1, 0)).toBeUndefined();
    expect(own.parts(0, 1, LOOK_AFTER_MS)?.ownMs).toBe(LOOK_AFTER_MS);
  });

  test("takes off a wait that is not over, which the kernel does not count yet, and counts it once when it is", () => {
    const ready = { state: "ready" } as const;
    const starved = Array.from({ length: 20 }, () => ready);
    expect(partsAfter(starved)?.ownMs).toBe(LOOK_AFTER_MS);
    const itsTurn = { ranMs: 101, waitedMs: 7_000 + 19 * LOOK_AFTER_MS };
    expect(partsAfter([...starved, itsTurn])?.ownMs).toBe(2 * LOOK_AFTER_MS);
    expect(partsAfter([...starved, itsTurn, ...starved])?.ownMs).toBe(2 * LOOK_AFTER_MS);
  });

  test("takes nothing off one that computes, nor where the kernel does not say", () => {
    const computes = Array.from({ length: 20 }, (_, look) => ({ state: "ready", ranMs: 100 + look }) as const);
    expect(partsAfter(computes)?.ownMs).toBe(20 * LOOK_AFTER_MS);
    const unknown = Array.from({ length: 20 }, () => ({ state: "ready", ranMs: 0, waitedMs: 0 }) as const);
    expect(partsAfter(unknown)?.ownMs).toBe(20 * LOOK_AFTER_MS);
  });

  test("does not count as its own what a thread had waited before it ended, of which the kernel says nothing any more", () => {
    const waited = { state: "other", ranMs: 100, waitedMs: 16_000 } as const;
    const ended = { state: "other", ranMs: 0, waitedMs: 0 } as const;
    expect(partsAfter([waited, ended])?.ownMs).toBe(2 * LOOK_AFTER_MS);
  });

  test("counts what it ran, however long it waited between looks that came late and counted less", () => {
    const spins = Array.from(
      { length: 40 },
      (_, look) => ({ state: "ready", ranMs: 100 + look * 40, waitedMs: 7_000 + look * 400 }) as const,
    );
    expect(partsAfter(spins)?.ownMs).toBe(39 * 40);
  });

  test("tells how much of it was seen to be a wait for a disk", () => {
    const disk = { state: "disk" } as const;
    const between = { state: "other" } as const;
    expect(partsAfter([disk, disk, between, disk])).toEqual({
      ownMs: 4 * LOOK_AFTER_MS,
      diskMs: 3 * LOOK_AFTER_MS,
      waitsForDisk: true,
    });
    expect(partsAfter([disk, between])).toMatchObject({ diskMs: LOOK_AFTER_MS, waitsForDisk: false });
  });

  test("takes off three quarters of a wait for a lock, as far as threads of its process waited for a processor meanwhile", () => {
    const locked = (waitedOfAllMs: number) => ({ state: "lock", waitedOfAllMs }) as const;
    const all = 20 * LOOK_AFTER_MS;
    expect(partsAfter(Array.from({ length: 20 }, () => locked(7_000)))?.ownMs).toBe(all);
    expect(partsAfter(Array.from({ length: 20 }, (_, look) => locked(7_000 + look)))?.ownMs).toBe(all - 19);
    expect(partsAfter(Array.from({ length: 20 }, (_, look) => locked(7_000 + look * 400)))?.ownMs).toBe(all / 4);
    // Of one that waits for something else it does not matter.
    const blocked = Array.from({ length: 20 }, (_, look) => ({ state: "other", waitedOfAllMs: look * 400 }) as const);
    expect(partsAfter(blocked)?.ownMs).toBe(all);
  });

  test("asks the kernel about nobody who is heard", () => {
    const asked = (): never => {
      throw new Error("asked");
    };
    const own = new OwnSilence({ timesOf: asked, waitedOfAllMs: asked });
    expect(own.parts("main", 1, LOOK_AFTER_MS - 1)).toBeUndefined();
  });
});
