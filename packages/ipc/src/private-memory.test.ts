import { expect, test } from "bun:test";
import { join } from "node:path";
import { PrivateMemory } from "./private-memory.ts";

test("PrivateMemory gives what was written, from wherever, and zeros where nothing was", () => {
  using memory = PrivateMemory.map(10_000)!;
  using other = PrivateMemory.map(5_000)!;
  const text = new TextEncoder().encode("a record");
  memory.write(9_992, text);
  memory.write(3, text, 4);
  const into = new Uint8Array(12).fill(7);
  memory.read(9_990, into, 10);
  expect([...into]).toEqual([0, 0, ...text, 7, 7]);
  memory.copy(9_992, 8, other, 1);
  other.read(0, into);
  expect([...into]).toEqual([0, ...text, 0, 0, 0]);
  expect(new TextDecoder().decode(Uint8Array.of(...new Uint8Array(new Uint32Array([memory.u32(3)]).buffer)))).toBe(
    "a re",
  );
  expect(memory.u16(3)).toBe(memory.u32(3) % 2 ** 16);
  memory.read(10_000, into, 0);
  expect(into[1]).toBe(text[0]!);
});

test("PrivateMemory reaches nothing that is not its own", () => {
  using memory = PrivateMemory.map(4096)!;
  using other = PrivateMemory.map(4096)!;
  const bytes = new Uint8Array(8);
  for (const offset of [-7, 4089, 2 ** 40, Number.NaN]) {
    expect(() => memory.write(offset, bytes)).toThrow(RangeError);
    expect(() => memory.read(offset, bytes)).toThrow(RangeError);
    expect(() => memory.copy(offset, 8, other, 0)).toThrow(RangeError);
    expect(() => memory.copy(0, 8, other, offset)).toThrow(RangeError);
    expect(() => memory.u32(offset + 4)).toThrow(RangeError);
    expect(() => memory.u16(offset + 6)).toThrow(RangeError);
  }
  expect(() => memory.write(0, bytes, 9)).toThrow(RangeError);
  expect(() => memory.read(0, bytes, 9)).toThrow(RangeError);
  expect(() => PrivateMemory.map(0)).toThrow(expect.objectContaining({ code: "EINVAL", syscall: "mmap" }));
});

test("PrivateMemory.map() gives none where the system has none", () => {
  expect(PrivateMemory.map(2 ** 50)).toBeUndefined();
});

test("PrivateMemory.close() gives it back at once, and it is no heap before", () => {
  // In a process of its own: what other tests leave to the allocator goes back when it likes.
  const script = `
    import { heapStats } from "bun:jsc";
    import { readFileSync } from "node:fs";
    import { PrivateMemory } from ${JSON.stringify(join(import.meta.dir, "private-memory.ts"))};
    const ownMib = () => Number(/^RssAnon:\\s+(\\d+) kB/m.exec(readFileSync("/proc/self/status", "latin1"))?.[1]) / 1024;
    const piece = new Uint8Array(1024 * 1024).fill(1);
    const heapBefore = heapStats().extraMemorySize;
    const ownBefore = ownMib();
    const memory = PrivateMemory.map(64 * piece.length);
    for (let offset = 0; offset < memory.length; offset += piece.length) memory.write(offset, piece);
    const heap = (heapStats().extraMemorySize - heapBefore) / piece.length;
    const held = ownMib() - ownBefore;
    memory.close();
    console.log(JSON.stringify({ heap, held, left: ownMib() - ownBefore }));
  `;
  const { stdout } = Bun.spawnSync([process.execPath, "-e", script], { stderr: "inherit" });
  const { heap, held, left } = JSON.parse(stdout.toString()) as { heap: number; held: number; left: number };
  expect(heap).toBeLessThan(8);
  expect(held).toBeGreaterThan(60);
  expect(left).toBeLessThan(32);
}, 30_000);

test("PrivateMemory that has been closed can not be reached", () => {
  const memory = PrivateMemory.map(4096)!;
  memory.close();
  memory.close();
  expect(() => memory.u32(0)).toThrow("closed");
  expect(() => memory.write(0, new Uint8Array(1))).toThrow("closed");
});

test("PrivateMemory keeps a million small writes apart, wherever the views that they come from are", () => {
  using memory = PrivateMemory.map(8 * 1024)!;
  for (let turn = 0; turn < 1_000_000; turn++) {
    // Small views live in the collector's own memory, and move when their buffer is asked for.
    const from = Uint8Array.of(turn, turn >> 8, turn >> 16, 1);
    if (turn % 3 === 0) from.buffer;
    const offset = (turn % 2000) * 4;
    memory.write(offset, from);
    const into = new Uint8Array(4);
    if (turn % 5 === 0) into.buffer;
    memory.read(offset, into);
    if (into[0] !== (turn & 255) || into[2] !== ((turn >> 16) & 255) || into[3] !== 1) {
      throw new Error(`turn ${turn} gave ${into}`);
    }
  }
}, 60_000);
