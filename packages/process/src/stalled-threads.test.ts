import { describe, expect, test } from "bun:test";
import { beat, controlBlockBytes, HEARTBEAT_MS } from "@proj/protocol";
import { isStalled, StalledThreads } from "./stalled-threads.ts";

const THREADS = 2;

/** Both threads beat in each round but for those that are held. */
class Scene {
  waitedMs = 0;
  isStopped = false;
  waitsForDisk = false;
  readonly held = new Set<number>();
  readonly #words = new Int32Array(controlBlockBytes(THREADS) / 4);
  #nowMs = 0;
  readonly threads = new StalledThreads(THREADS, {
    timesOf: () => ({ state: this.waitsForDisk ? "disk" : "other", ranMs: 1, waitedMs: this.waitedMs }),
    waitedOfAllMs: () => this.waitedMs,
    isProcessStopped: () => this.isStopped,
  });

  look(afterMs = HEARTBEAT_MS) {
    for (let thread = 0; thread < THREADS; thread++) if (!this.held.has(thread)) beat(this.#words, thread);
    this.#nowMs += afterMs;
    return this.threads.look(this.#words, this.#nowMs);
  }

  /** After how many looks thread 1, which is held from now on, is said to have stalled. */
  looksUntilFallen(waitedMs = 0, most = 1_000): number {
    this.held.add(1);
    for (let looks = 1; looks <= most; looks++) {
      this.waitedMs += waitedMs;
      if (this.look().fallen.length > 0) return looks;
    }
    return Number.POSITIVE_INFINITY;
  }
}

describe("StalledThreads.look()", () => {
  test("tells of a thread that does not beat, within a quarter of a second, and of its first beat after that", () => {
    const scene = new Scene();
    for (let look = 0; look < 5; look++) expect(scene.look()).toEqual({ fallen: [], risen: [] });
    expect(scene.looksUntilFallen()).toBe(4);
    expect([0, 1].map((thread) => scene.threads.isStalled(thread))).toEqual([false, true]);
    expect(scene.look()).toEqual({ fallen: [], risen: [] });
    scene.held.clear();
    expect(scene.look()).toEqual({ fallen: [], risen: [1] });
    expect(scene.threads.hasStalled).toBe(false);
  });

  test("knows whether any of them has beaten since the last look, which the first look can not know", () => {
    const scene = new Scene();
    scene.look();
    expect(scene.threads.hasHeard).toBe(false);
    scene.look();
    expect(scene.threads.hasHeard).toBe(true);
    scene.held.add(0);
    scene.look();
    expect(scene.threads.hasHeard).toBe(true);
    scene.held.add(1);
    scene.look();
    expect(scene.threads.hasHeard).toBe(false);
  });

  test("does not accuse a thread that gets no processor, for however long", () => {
    const scene = new Scene();
    scene.look();
    expect(scene.looksUntilFallen(HEARTBEAT_MS)).toBe(Number.POSITIVE_INFINITY);
    expect(scene.looksUntilFallen(HEARTBEAT_MS / 2)).toBeFinite(); // one that gets half of one
  });

  test("does not accuse anybody of what the watcher itself has missed", () => {
    const scene = new Scene();
    scene.look();
    scene.held.add(0).add(1);
    expect(scene.look(60_000).fallen).toEqual([]);
  });

  test("tells of a process that is stopped as soon as beats are missing, and not of the state before", () => {
    const scene = new Scene();
    scene.look();
    scene.isStopped = true;
    expect(scene.look().fallen).toEqual([]);
    scene.held.add(0).add(1);
    expect(scene.look().fallen).toEqual([]); // an idle thread leaves out as much
    expect(scene.look().fallen).toEqual([0, 1]);
  });

  test("has more patience with one that waits for a disk", () => {
    const scene = new Scene();
    scene.look();
    scene.waitsForDisk = true;
    expect(scene.looksUntilFallen()).toBe(20);
  });
});

test("isStalled() is so from a limit on, and a later one for what a disk is waited for", () => {
  expect([199, 200].map((ownMs) => isStalled({ ownMs, diskMs: 0 }))).toEqual([false, true]);
  expect([249, 250].map((ownMs) => isStalled({ ownMs, diskMs: 50 }))).toEqual([false, true]);
  expect([999, 1_000].map((ownMs) => isStalled({ ownMs, diskMs: 950 }))).toEqual([false, true]);
});
