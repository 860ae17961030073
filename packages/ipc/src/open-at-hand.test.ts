import { describe, expect, test } from "bun:test";
import { closeSync, mkdtempSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openAtHand } from "./open-at-hand.ts";

function withDirectory(use: (directory: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), "ipc-open-at-hand-"));
  try {
    use(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

describe("openAtHand()", () => {
  test("opens what has just been written, for reading and for this program only; or says that it can not tell", () =>
    withDirectory((directory) => {
      const path = join(directory, "caf\u00e9");
      writeFileSync(path, "written");
      const fildes = openAtHand(path);
      if (fildes === undefined) return;
      try {
        expect(readFileSync(fildes, "utf8")).toBe("written");
        expect(readlinkSync(`/proc/self/fd/${fildes}`)).toBe(path);
        const { flags } = /flags:\s+(?<flags>[0-7]+)/.exec(readFileSync(`/proc/self/fdinfo/${fildes}`, "utf8"))!
          .groups!;
        expect(Number.parseInt(flags!, 8) & 0o2000003).toBe(0o2000000); // O_CLOEXEC, O_RDONLY
      } finally {
        closeSync(fildes);
      }
    }));

  test("refuses a symbolic link, and what is not there, as open does; or says that it can not tell", () =>
    withDirectory((directory) => {
      const link = join(directory, "link");
      symlinkSync("/etc/passwd", link);
      for (const [path, code] of [
        [link, "ELOOP"],
        [join(directory, "absent"), "ENOENT"],
      ] as const) {
        try {
          expect(openAtHand(path)).toBeUndefined();
        } catch (error) {
          expect(error).toMatchObject({ code, syscall: "openat2" });
        }
      }
    }));

  test("opens and gives back a hundred thousand times, among garbage", () =>
    withDirectory((directory) => {
      let garbage: Uint8Array[] = [];
      for (let round = 0; round < 100_000; round++) {
        const path = join(directory, `file-${round % 10}`);
        if (round < 10) writeFileSync(path, "");
        const fildes = openAtHand(path);
        if (fildes !== undefined) closeSync(fildes);
        if (round % 64 === 0) garbage = [];
        garbage.push(new Uint8Array(16));
      }
    }));
});
