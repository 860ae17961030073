import { expect, test } from "bun:test";
import { join } from "node:path";

const ENTRY = join(import.meta.dir, "own-arguments.ts");

async function shownAfter(from: string, to: string, ...args: string[]): Promise<string[]> {
  const program = `
    const { replaceArgument } = await import(${JSON.stringify(ENTRY)});
    const done = replaceArgument(${JSON.stringify(from)}, ${JSON.stringify(to)});
    console.log(JSON.stringify([String(done), ...(await Bun.file("/proc/self/cmdline").text()).split("\\0").slice(3)]));
  `;
  const child = Bun.spawn([process.execPath, "-e", program, ...args], { stdout: "pipe" });
  return JSON.parse(await child.stdout.text());
}

test("replaceArgument() changes what the process list shows, of one whole argument", async () => {
  const args = ["spares", "spare", "--origin", "spare"];
  expect(await shownAfter("spare", "proxy", ...args)).toEqual(["true", "spares", "proxy", "--origin", "spare", ""]);
  expect(await shownAfter("other", "proxy", ...args)).toEqual(["false", ...args, ""]);
});

test("replaceArgument() refuses a word of another length", async () => {
  const { replaceArgument } = await import("./own-arguments.ts");
  expect(() => replaceArgument("spare", "cache proxy")).toThrow(RangeError);
});
