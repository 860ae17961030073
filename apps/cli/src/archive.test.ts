import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MAIN = join(import.meta.dir, "main.ts");

function webproxy(...args: string[]): { code: number; stdout: string; stderr: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, MAIN, ...args]);
  return { code: exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}

describe("webproxy inspect, export, import", () => {
  test("of a store of another version, or of none: refused in clear words", () => {
    const store = mkdtempSync(join(tmpdir(), "webproxy-archive-"));
    try {
      writeFileSync(join(store, "webproxy-store.json"), '{"format":"webproxy-store","version":99}');
      const file = join(store, "file");
      const commands = [["inspect"], ["export", file], ["import", file]];
      for (const command of commands) {
        const refused = webproxy(...command, "--cache-dir", store);
        expect([refused.code, refused.stdout]).toEqual([1, ""]);
        expect(refused.stderr).toMatch(/holds a store of version 99, and this program knows versions up to \d/);
        const none = webproxy(...command, "--cache-dir", "none");
        expect([none.code, none.stdout]).toEqual([2, ""]);
        expect(none.stderr).toContain("keeps responses in memory only");
      }
    } finally {
      rmSync(store, { recursive: true, force: true });
    }
  }, 30_000);

  test("of a store that is not there, or empty: say so", () => {
    const directory = mkdtempSync(join(tmpdir(), "webproxy-archive-"));
    try {
      const store = join(directory, "store");
      const file = join(directory, "file");
      expect(webproxy("inspect", "--cache-dir", store)).toMatchObject({
        code: 0,
        stdout: `nothing is stored in ${store}\n`,
      });
      expect(webproxy("inspect", "/a", "--cache-dir", store).code).toBe(1);
      const refused = webproxy("export", file, "--cache-dir", store);
      expect([refused.code, refused.stderr]).toEqual([
        1,
        `webproxy: Cannot export the store in ${store} to ${file}: ENOENT\n`,
      ]);
      writeFileSync(file, "no archive of anything at all");
      expect(webproxy("import", file, "--cache-dir", store)).toMatchObject({
        code: 1,
        stderr: expect.stringContaining("it is no export"),
      });
      expect(webproxy("export", `${file}2`, "--cache-dir", store)).toMatchObject({
        code: 0,
        stdout: "exported 0 responses, 0 bytes\n",
      });
      expect(webproxy("import", `${file}2`, "--cache-dir", store)).toMatchObject({
        code: 0,
        stdout: "imported 0 responses, 0 bytes\n",
      });
      expect(webproxy("import").code).toBe(2);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }, 30_000);
});
