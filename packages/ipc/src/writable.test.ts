import { expect, test } from "bun:test";
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isWritable } from "./writable.ts";

test("isWritable() tells whether a pipe has room for a piece, or no reader", () => {
  const directory = mkdtempSync(join(tmpdir(), "webproxy-writable-"));
  const path = join(directory, "pipe");
  try {
    Bun.spawnSync(["mkfifo", path]);
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const writer = openSync(path, constants.O_WRONLY);
    const piece = Buffer.alloc(4_096);
    let pieces = 0;
    for (; isWritable(writer); pieces++) expect(writeSync(writer, piece)).toBe(piece.length);
    expect(pieces).toBeGreaterThan(0);
    expect(readSync(reader, piece)).toBe(piece.length);
    expect(isWritable(writer)).toBe(true);
    writeSync(writer, piece);
    expect(isWritable(writer)).toBe(false);
    closeSync(reader);
    expect(isWritable(writer)).toBe(true); // it would fail at once
    closeSync(writer);
    expect(isWritable(writer)).toBe(true);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
