import { expect, test } from "bun:test";
import { chmodSync, chownSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LogRecord } from "@proj/protocol";
import { cacheDirectory } from "./cache-directory.ts";

const GIB = 1024 ** 3;

test("cacheDirectory() is made, private, below XDG_CACHE_HOME or where it was asked for", () => {
  const root = mkdtempSync(join(tmpdir(), "webproxy-cache-"));
  try {
    const log = () => expect.unreachable();
    const directory = cacheDirectory({ channel: "c1", disk: GIB }, { XDG_CACHE_HOME: root }, log);
    expect(directory).toBe(join(root, "webproxy", "c1"));
    expect(statSync(directory!).mode & 0o777).toBe(0o700);
    expect(cacheDirectory({ channel: "c1", disk: GIB, cacheDir: join(root, "here") }, {}, log)).toBe(
      join(root, "here"),
    );
  } finally {
    rmSync(root, { recursive: true });
  }
});

test("cacheDirectory() is none where none was asked for, or nothing may be stored", () => {
  expect(cacheDirectory({ channel: "c", disk: GIB, cacheDir: "none" }, {}, () => {})).toBeUndefined();
  expect(cacheDirectory({ channel: "c", disk: 0 }, { XDG_CACHE_HOME: "/nonexistent" }, () => {})).toBeUndefined();
});

test("cacheDirectory() refuses what was asked for and can not be; without being asked it warns and does without", () => {
  const root = mkdtempSync(join(tmpdir(), "webproxy-cache-"));
  try {
    const file = join(root, "file");
    writeFileSync(file, "");
    expect(() => cacheDirectory({ channel: "c", disk: GIB, cacheDir: join(file, "x") }, {}, () => {})).toThrow(
      /^Cannot store responses in .*\/file\/x: ENOTDIR; make it writable for this user, give another with --cache-dir/,
    );
    const records: LogRecord[] = [];
    expect(
      cacheDirectory({ channel: "c", disk: GIB }, { XDG_CACHE_HOME: file }, (record) => records.push(record)),
    ).toBeUndefined();
    expect(records.map(({ level }) => level)).toEqual(["warn"]);
  } finally {
    rmSync(root, { recursive: true });
  }
});

test("cacheDirectory() warns of one that others may write to", () => {
  const root = mkdtempSync(join(tmpdir(), "webproxy-cache-"));
  try {
    const warningsAbout = (mode: number) => {
      chmodSync(root, mode);
      const records: LogRecord[] = [];
      expect(cacheDirectory({ channel: "c", disk: GIB, cacheDir: root }, {}, (record) => records.push(record))).toBe(
        root,
      );
      return records.map(({ level, message }) => `${level} ${message}`);
    };
    expect(warningsAbout(0o755)).toEqual([]);
    for (const mode of [0o777, 0o770])
      expect(warningsAbout(mode)).toEqual([
        expect.stringMatching(new RegExp(`^warn other users may write to .*mode ${mode.toString(8)}`)),
      ]);
  } finally {
    rmSync(root, { recursive: true });
  }
});

test.skipIf(process.geteuid?.() !== 0)("cacheDirectory() warns of one that is another user's", () => {
  const root = mkdtempSync(join(tmpdir(), "webproxy-cache-"));
  try {
    chownSync(root, 65_534, 65_534);
    const messages: string[] = [];
    const log = ({ message }: LogRecord) => messages.push(message);
    expect(cacheDirectory({ channel: "c", disk: GIB, cacheDir: root }, {}, log)).toBe(root);
    expect(messages).toEqual([expect.stringMatching(/^user 65534, whose directory it is, may write to .*chown it/)]);
  } finally {
    rmSync(root, { recursive: true });
  }
});
