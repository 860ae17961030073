import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { StoreDirectory, StoreDirectoryError } from "./store-directory.ts";
import { withDirectory } from "./test-support.ts";

function codeOf(open: () => StoreDirectory): string {
  try {
    open()[Symbol.dispose]();
    return "opened";
  } catch (error) {
    expect(error).toBeInstanceOf(StoreDirectoryError);
    return (error as StoreDirectoryError).code;
  }
}

describe("StoreDirectory", () => {
  test("is one holder's at a time, in this process and in others, also when the holder was killed", async () => {
    await withDirectory(async (directory) => {
      const path = join(directory, "store");
      const script = `import { StoreDirectory } from ${JSON.stringify(join(import.meta.dir, "store-directory.ts"))};
        globalThis.held = StoreDirectory.open(${JSON.stringify(path)}); console.log("held"); setInterval(() => {}, 1000);`;
      const child = Bun.spawn([process.execPath, "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
      try {
        const { value } = await child.stdout.getReader().read();
        expect(new TextDecoder().decode(value)).toBe("held\n");
        expect(codeOf(() => StoreDirectory.open(path))).toBe("ERR_STORE_IN_USE");
        // By another name it is the same.
        symlinkSync(path, join(directory, "link"));
        expect(codeOf(() => StoreDirectory.open(join(directory, "link")))).toBe("ERR_STORE_IN_USE");
      } finally {
        child.kill("SIGKILL");
        await child.exited;
      }
      const held = StoreDirectory.open(path);
      expect(codeOf(() => StoreDirectory.open(path))).toBe("ERR_STORE_IN_USE");
      held[Symbol.dispose]();
      expect(codeOf(() => StoreDirectory.open(path))).toBe("opened");
    });
  });

  test("refuses a store of another version in clear words, and touches nothing of it", () =>
    withDirectory((directory) => {
      for (const marker of ['{"format":"webproxy-store","version":4}', "not JSON"]) {
        writeFileSync(join(directory, "webproxy-store.json"), marker);
        mkdirSync(join(directory, "incoming", "0"), { recursive: true });
        expect(codeOf(() => StoreDirectory.open(directory))).toBe("ERR_STORE_VERSION");
        expect(() => StoreDirectory.open(directory)).toThrow(/holds a store of version (4|unknown).*remove it/);
        expect(existsSync(join(directory, "incoming", "0"))).toBe(true);
      }
    }));

  test("removes what version 1 left and what was arriving, and leaves everything else", () =>
    withDirectory((directory) => {
      mkdirSync(join(directory, "shard-0"));
      writeFileSync(join(directory, "shard-0", "a1.body"), "old");
      mkdirSync(join(directory, "shard-1"));
      writeFileSync(join(directory, "shard-1", "notes.txt"), "mine");
      mkdirSync(join(directory, "incoming", "3"), { recursive: true });
      writeFileSync(join(directory, "incoming", "3", "0"), "half");
      writeFileSync(join(directory, "notes.txt"), "mine");
      using _ = StoreDirectory.open(directory);
      expect(readdirSync(directory).sort()).toEqual(["lock", "notes.txt", "shard-1", "webproxy-store.json"]);
    }));

  test("removes nothing that somebody else has in a directory of the same name", () =>
    withDirectory((directory) => {
      const mine = ["incoming/mail/1", "incoming/0/Letter.txt", "incoming/list"].map((name) => join(directory, name));
      for (const path of mine) {
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, "mine");
      }
      writeFileSync(join(directory, "incoming", "0", "1z"), "half");
      StoreDirectory.open(directory)[Symbol.dispose]();
      expect(mine.every((path) => existsSync(path))).toBe(true);
      expect(readdirSync(join(directory, "incoming", "0"))).toEqual(["Letter.txt"]);
    }));

  test("follows no symbolic link that somebody has put in the place of its own files", () => {
    for (const name of ["lock", "webproxy-store.json", "webproxy-store.json.new"])
      withDirectory((directory) => {
        const other = join(directory, "other");
        const text = '{"format":"webproxy-store","version":3}';
        writeFileSync(other, text);
        const store = join(directory, "store");
        mkdirSync(store);
        symlinkSync(other, join(store, name));
        expect([name, codeOf(() => StoreDirectory.open(store))]).toEqual([
          name,
          name.endsWith(".new") ? "opened" : "ELOOP",
        ]);
        expect(readFileSync(other, "utf8")).toBe(text);
      });
  });

  test("refuses a symbolic link in the place of one of its directories, in clear words, and removes nothing behind it", () => {
    for (const name of ["incoming", "incoming/0", "03", "ff"])
      withDirectory((directory) => {
        const store = join(directory, "store");
        const mine = ["others/1", "others/0/1"].map((path) => join(directory, path));
        for (const path of mine) {
          mkdirSync(dirname(path), { recursive: true });
          writeFileSync(path, "mine");
        }
        mkdirSync(dirname(join(store, name)), { recursive: true });
        symlinkSync(join(directory, "others"), join(store, name));
        expect([name, codeOf(() => StoreDirectory.open(store))]).toEqual([name, "ERR_STORE_LINK"]);
        expect(() => StoreDirectory.open(store)).toThrow(
          `${name}" is a symbolic link, which is not followed; remove it`,
        );
        expect(mine.every((path) => existsSync(path))).toBe(true);
      });
  });

  test("removes nothing through a link that has the name of a directory of version 1", () =>
    withDirectory((directory) => {
      const other = join(directory, "other");
      mkdirSync(other);
      writeFileSync(join(other, "a1.body"), "mine");
      symlinkSync(other, join(directory, "shard-0"));
      StoreDirectory.open(directory)[Symbol.dispose]();
      expect(readdirSync(other)).toEqual(["a1.body"]);
      expect(existsSync(join(directory, "shard-0"))).toBe(true);
    }));

  test("says what is wrong with a directory that can not be used", () =>
    withDirectory((directory) => {
      writeFileSync(join(directory, "file"), "");
      expect(codeOf(() => StoreDirectory.open(join(directory, "file")))).toMatch(/EEXIST|ENOTDIR/);
    }));
});
