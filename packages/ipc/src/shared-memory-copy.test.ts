import { expect, test } from "bun:test";
import { symlinkSync, truncateSync, unlinkSync } from "node:fs";
import { testName } from "../test/names.ts";
import { SharedMemory } from "./shared-memory.ts";
import { SharedMemoryCopy } from "./shared-memory-copy.ts";

test("SharedMemoryCopy.refresh() shows what has been written since, and not before", () => {
  const name = testName();
  const memory = SharedMemory.create(name, 8192);
  try {
    memory.i32[5] = 7;
    using copy = SharedMemoryCopy.open(name)!;
    expect([copy.i32[5], copy.buffer.byteLength]).toEqual([7, 8192]);
    memory.i32[5] = 8;
    expect(copy.i32[5]).toBe(7);
    expect([copy.refresh(), copy.i32[5]]).toEqual([true, 8]);
  } finally {
    memory.unlink();
    memory.close();
  }
});

test("SharedMemoryCopy.refresh() says that the object was cut short, and this process lives (CHECKLIST 56)", () => {
  const name = testName();
  const memory = SharedMemory.create(name, 8192);
  memory.close();
  try {
    using copy = SharedMemoryCopy.open(name)!;
    truncateSync(`/dev/shm${name}`, 4096);
    expect(copy.refresh()).toBe(false);
    truncateSync(`/dev/shm${name}`, 0);
    expect(copy.refresh()).toBe(false);
    expect(SharedMemoryCopy.open(name)).toBeUndefined();
  } finally {
    SharedMemory.unlink(name);
  }
});

test("SharedMemoryCopy.refresh() of a part leaves the rest as it was copied", () => {
  const name = testName();
  using memory = SharedMemory.create(name, 4096);
  try {
    using copy = SharedMemoryCopy.open(name)!;
    memory.i32.fill(9);
    expect([copy.refresh(8, 4), ...copy.i32.slice(0, 5)]).toEqual([true, 0, 0, 9, 0, 0]);
    truncateSync(`/dev/shm${name}`, 8);
    expect([copy.refresh(0, 8), copy.refresh(8, 4)]).toEqual([true, false]);
  } finally {
    memory.unlink();
  }
});

test("SharedMemoryCopy.writeBack() writes a part of the copy, and only with the right to", () => {
  const name = testName();
  using memory = SharedMemory.create(name, 4096);
  try {
    using copy = SharedMemoryCopy.open(name, { writable: true })!;
    copy.i32.fill(7);
    expect([copy.writeBack(4, 4), ...memory.i32.slice(0, 3)]).toEqual([true, 0, 7, 0]);
    using reader = SharedMemoryCopy.open(name)!;
    expect(reader.writeBack(4, 4)).toBe(false);
  } finally {
    memory.unlink();
  }
});

test("SharedMemoryCopy.isUnlinked tells that the name is another's now, or nobody's", () => {
  const name = testName();
  using made = SharedMemory.create(name, 4096);
  using copy = SharedMemoryCopy.open(name)!;
  try {
    expect(copy.isUnlinked).toBe(false);
    made.unlink();
    expect(copy.isUnlinked).toBe(true);
    using another = SharedMemory.create(name, 4096);
    expect([another.closed, copy.isUnlinked]).toEqual([false, true]);
  } finally {
    SharedMemory.unlink(name);
  }
});

test("SharedMemoryCopy.open() finds nothing where there is nothing, or what is no object", () => {
  const name = testName();
  expect(SharedMemoryCopy.open(name)).toBeUndefined();
  symlinkSync("/etc/hostname", `/dev/shm${name}`);
  try {
    expect(SharedMemoryCopy.open(name)).toBeUndefined();
  } finally {
    unlinkSync(`/dev/shm${name}`);
  }
});
