import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { outputOf } from "./child-output.ts";

function run(script: string) {
  return Bun.spawn(["sh", "-c", script], { stdio: ["ignore", "pipe", "pipe"] });
}

test("outputOf() is all that a process wrote, more than a pipe holds too", async () => {
  const output = await outputOf(run("head -c 3000000 /dev/zero | tr '\\0' x; echo complaint >&2; exit 3"));
  expect(output).toMatchObject({ exitCode: 3, stderr: "complaint\n" });
  expect(output.stdout.length).toBe(3_000_000);
});

test("outputOf() does not wait for one that holds the pipes of a process that has ended, and holds none itself afterwards", async () => {
  const descriptors = () => readdirSync("/proc/self/fd").length;
  const before = descriptors();
  // As long as the test may take, and longer.
  const { exitCode, stdout, stderr } = await outputOf(run("sleep 600 & echo $!; echo complaint >&2"));
  try {
    expect([exitCode, stderr]).toEqual([0, "complaint\n"]);
    while (descriptors() > before) await Bun.sleep(10); // closed a little later; the test's own time is the limit
  } finally {
    process.kill(Number(stdout), "SIGKILL");
  }
}, 30_000);
