import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { readmeBlocks } from "./readme-blocks.ts";

/** Every example of the README runs alone, as a reader would run it, exits 0, says something and leaves nothing. */
const PACKAGE = new URL("../", import.meta.url).pathname;
const WATCHDOG = 30_000;

let project: string;

beforeAll(() => {
  project = mkdtempSync(`${tmpdir()}/ipc-readme-`);
  mkdirSync(`${project}/node_modules/@proj`, { recursive: true });
  symlinkSync(PACKAGE, `${project}/node_modules/@proj/ipc`);
});

afterAll(() => rmSync(project, { recursive: true, force: true }));

const blocks = readmeBlocks(readFileSync(`${PACKAGE}README.md`, "utf8"));

test("the README has an example for every class", () => {
  const text = blocks.map(({ code }) => code).join("\n");
  const index = readFileSync(`${PACKAGE}src/index.ts`, "utf8");
  const exported = [...index.matchAll(/export (?!type)\{([^}]*)\}/g)].flatMap(([, names]) => names!.split(","));
  const values = exported.map((name) => name.trim()).filter((name) => name !== "" && !name.startsWith("type "));
  expect(values.length).toBeGreaterThan(15);
  for (const name of values.filter((name) => /^[A-Z][a-z]/.test(name) && !name.endsWith("Error"))) {
    expect([name, text.includes(`${name}.`)]).toEqual([name, true]);
  }
});

for (const { title, code } of blocks) {
  test(
    `the example of "${title}" runs alone`,
    async () => {
      const file = `${project}/${title.replace(/\W+/g, "-")}.ts`;
      await Bun.write(file, code);
      const child = Bun.spawn([process.execPath, file], { cwd: project, stdout: "pipe", stderr: "pipe" });
      const watchdog = setTimeout(() => child.kill("SIGKILL"), WATCHDOG - 5_000);
      const [out, err] = [await new Response(child.stdout).text(), await new Response(child.stderr).text()];
      expect({ exitCode: await child.exited, err }).toEqual({ exitCode: 0, err: "" });
      clearTimeout(watchdog);
      if (code.includes("console.log")) expect(out).not.toBe("");
      expect(readdirSync("/dev/shm").filter((name) => name.includes(`-${child.pid}`))).toEqual([]);
    },
    WATCHDOG,
  );
}
