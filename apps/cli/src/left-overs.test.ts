import { expect, test } from "bun:test";
import { ExclusiveLock, objectName, SharedMemory } from "@proj/ipc";
import { channelNames, controlBlockBytes, writeControlBlock } from "@proj/protocol";
import { ownObjects, removeLeftOvers } from "./left-overs.ts";
import { startTimeOf } from "./process-identity.ts";
import { objectsOf, ownChannel } from "./test-process.ts";

function makeBody(channel: string): void {
  const name = objectName(channelNames(channel).body(1, 0, 0));
  SharedMemory.create(name, 4096, { registered: false }).close();
}

test("removeLeftOvers() removes bodies on loan when no cache has the lock, and only then", () => {
  const channel = ownChannel();
  makeBody(channel);
  const lock = ExclusiveLock.tryAcquire(objectName(channelNames(channel).lock("cache")));
  if (!(lock instanceof ExclusiveLock)) throw new Error("the lock is held");
  try {
    removeLeftOvers(channel);
    expect(objectsOf(channel)).toHaveLength(2);
  } finally {
    lock.release();
  }
  removeLeftOvers(channel);
  expect(objectsOf(channel)).toEqual([]);
});

test("ownObjects() takes a body on loan for alive while the cache of its channel lives, and for dead afterwards", () => {
  const channel = ownChannel();
  makeBody(channel);
  const control = SharedMemory.create(objectName(channelNames(channel).controlBlock("cache")), controlBlockBytes(1));
  const statesOf = () =>
    ownObjects(channel)
      .filter(({ name }) => name.includes(".body."))
      .map(({ state }) => state);
  try {
    const none = { segments: 0, segmentBytes: 0, httpPort: 0, getfilePort: 0 };
    const block = {
      ...none,
      life: 1,
      pid: process.pid,
      startTime: startTimeOf(process.pid)!,
      state: "serving",
      threads: 1,
      startedAt: 0,
    } as const;
    writeControlBlock(control.buffer, block);
    expect(statesOf()).toEqual(["alive"]);
  } finally {
    control.unlink();
    control.close();
  }
  expect(statesOf()).toEqual(["dead"]);
  removeLeftOvers(channel);
  expect(objectsOf(channel)).toEqual([]);
});
