import { expect, test } from "bun:test";
import { join } from "node:path";

const ENTRY = join(import.meta.dir, "process-group.ts");

/** Process group and session before and after, of a process that may be made the leader of a session. */
async function groupsOf(detached: boolean): Promise<{ pid: number; before: number[]; after: number[] }> {
  const program = `
    const { leadProcessGroup } = await import(${JSON.stringify(ENTRY)});
    const groups = async () => (await Bun.file("/proc/self/stat").text()).replace(/.*\\) /, "").split(" ").slice(2, 4).map(Number);
    const before = await groups();
    leadProcessGroup();
    console.log(JSON.stringify({ pid: process.pid, before, after: await groups() }));
  `;
  const child = Bun.spawn([process.execPath, "-e", program], { stdout: "pipe", detached });
  return JSON.parse(await child.stdout.text());
}

test("leadProcessGroup() leaves the parent's process group, and stays in its session", async () => {
  const { pid, before, after } = await groupsOf(false);
  expect(before[0]).not.toBe(pid);
  expect(after).toEqual([pid, before[1]!]);
});

test("leadProcessGroup() leaves the leader of a session what it is", async () => {
  const { pid, before, after } = await groupsOf(true);
  expect([before, after]).toEqual([
    [pid, pid],
    [pid, pid],
  ]);
});
