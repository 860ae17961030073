import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readAtHand } from "./read-at-hand.ts";

const FAR = 5 * 2 ** 30;
const directory = mkdtempSync(join(tmpdir(), "ipc-read-at-hand-"));
const bytes = Uint8Array.from({ length: 9000 }, (_, index) => index % 251);
let fildes: number;

beforeAll(() => {
  fildes = openSync(join(directory, "file"), "w+");
  writeSync(fildes, bytes, 0, bytes.length, 0);
});

afterAll(() => {
  closeSync(fildes);
  rmSync(directory, { recursive: true });
});

/** Nothing at all is right where the file system can not tell (tmpfs). */
function expectBytes(count: number, into: Uint8Array, expected: Uint8Array): void {
  expect([0, expected.length]).toContain(count);
  expect(into.subarray(0, count)).toEqual(expected.subarray(0, count));
}

describe("readAtHand()", () => {
  test("gives what has just been written, as far as the file goes, into any view", () => {
    for (const into of [new Uint8Array(new ArrayBuffer(4096)), new Uint8Array(100), Buffer.alloc(50).subarray(7)]) {
      expectBytes(readAtHand(fildes, into, 1000), into, bytes.subarray(1000, 1000 + into.length));
    }
    const into = new Uint8Array(new ArrayBuffer(4096));
    expectBytes(readAtHand(fildes, into, 8000), into, bytes.subarray(8000));
    expect(readAtHand(fildes, into, 9000)).toBe(0);
    expect(readAtHand(fildes, new Uint8Array(0), 0)).toBe(0);
  });

  test("knows positions above 4 GiB", () => {
    const far = openSync(join(directory, "far"), "w+");
    try {
      ftruncateSync(far, FAR + 10);
      writeSync(far, bytes, 0, 10, FAR);
      const into = new Uint8Array(new ArrayBuffer(64));
      expectBytes(readAtHand(far, into, FAR), into, bytes.subarray(0, 10));
    } finally {
      closeSync(far);
    }
  });

  test("throws EBADF for what is not open", () => {
    const into = new Uint8Array(10);
    expect(() => readAtHand(1_000_000, into, 0)).toThrow(
      expect.objectContaining({ code: "EBADF", syscall: "preadv2" }),
    );
  });

  test("gives the right bytes a million times, among garbage", () => {
    let garbage: Uint8Array[] = [];
    for (let round = 0; round < 1_000_000; round++) {
      const into = new Uint8Array(16);
      const position = (round * 7919) % 8000;
      const count = readAtHand(fildes, into, position);
      if (count > 0 && (into[0] !== bytes[position] || into[15] !== bytes[position + 15])) {
        throw new Error(`round ${round}: wrong bytes`);
      }
      if (round % 64 === 0) garbage = [];
      garbage.push(into);
    }
  });
});
