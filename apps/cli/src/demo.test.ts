import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inflateSync } from "node:zlib";
import { makeDemoFiles } from "./demo.ts";
import { encodePng } from "./png.ts";

test("makeDemoFiles() makes the same files everywhere, once", () => {
  const root = mkdtempSync(join(tmpdir(), "webproxy-demo-"));
  try {
    const directory = makeDemoFiles(join(root, "demo"));
    expect(readdirSync(directory).sort()).toEqual(["hello.txt", "image.png", "index.html", "large.bin"]);
    expect(statSync(join(directory, "large.bin")).size).toBe(64 * 1024 * 1024);
    const digest = new Bun.CryptoHasher("sha256").update(readFileSync(join(directory, "large.bin"))).digest("hex");
    expect(digest).toBe("c33e4c943c5f403d997a3b93f6b066dcf7bb33567bf59adb76bb9fd92b289842");
    const { ino } = statSync(join(directory, "large.bin"));
    truncateSync(join(directory, "hello.txt"), 3);
    makeDemoFiles(directory);
    expect(statSync(join(directory, "large.bin")).ino).toBe(ino);
    expect(statSync(join(directory, "hello.txt")).size).toBe(3);
  } finally {
    rmSync(root, { recursive: true });
  }
});

test("makeDemoFiles() says what to do where it can not write", () => {
  const root = mkdtempSync(join(tmpdir(), "webproxy-demo-"));
  try {
    mkdirSync(join(root, "demo", "hello.txt"), { recursive: true });
    expect(() => makeDemoFiles(join(root, "demo"))).toThrow(
      /^Cannot make the demo's files in .*: EISDIR; start it in a directory/,
    );
  } finally {
    rmSync(root, { recursive: true });
  }
});

test("encodePng() writes the chunks of the PNG specification, with their rows", () => {
  const png = Buffer.from(encodePng(3, 2, (x, y) => [x, y, 255]));
  expect(png.subarray(0, 8).toString("latin1")).toBe("\x89PNG\r\n\x1a\n");
  const chunks: Record<string, Buffer> = {};
  for (let at = 8; at < png.length; ) {
    const length = png.readUInt32BE(at);
    const type = png.toString("latin1", at + 4, at + 8);
    chunks[type] = png.subarray(at + 8, at + 8 + length);
    expect(png.readUInt32BE(at + 8 + length)).toBe(Bun.hash.crc32(png.subarray(at + 4, at + 8 + length)));
    at += 12 + length;
  }
  expect(Object.keys(chunks)).toEqual(["IHDR", "IDAT", "IEND"]);
  expect([...chunks["IHDR"]!]).toEqual([0, 0, 0, 3, 0, 0, 0, 2, 8, 2, 0, 0, 0]);
  const row = (y: number) => [0, 0, y, 255, 1, y, 255, 2, y, 255];
  expect([...inflateSync(chunks["IDAT"]!)]).toEqual([...row(0), ...row(1)]);
});
