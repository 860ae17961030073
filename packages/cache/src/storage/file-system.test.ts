import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FILE_SYSTEM } from "./file-system.ts";
import { withDirectory } from "./test-support.ts";

test("a directory that is a symbolic link is neither listed, nor forced to the medium, nor taken for one that is made", () =>
  withDirectory(async (directory) => {
    const other = join(directory, "other");
    mkdirSync(other);
    writeFileSync(join(other, "file"), "mine");
    const link = join(directory, "link");
    symlinkSync(other, link);
    expect(() => FILE_SYSTEM.list(link)).toThrow("is a symbolic link, which is not followed");
    expect(() => FILE_SYSTEM.makeDirectory(link)).toThrow("is a symbolic link, which is not followed");
    await expect(FILE_SYSTEM.syncDirectory(link)).rejects.toMatchObject({
      code: expect.stringMatching(/ELOOP|ENOTDIR/),
    });
    expect(readdirSync(other)).toEqual(["file"]);
    expect(FILE_SYSTEM.list(other)).toEqual(["file"]);
    expect(FILE_SYSTEM.list(join(directory, "none"))).toEqual([]);
  }));
