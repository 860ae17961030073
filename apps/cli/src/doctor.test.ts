import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { objectName, SharedMemory } from "@proj/ipc";
import { channelNames } from "@proj/protocol";
import { objectsOf, ownChannel, runCommand } from "./test-process.ts";

const MODULE = Bun.resolveSync("@proj/ipc", import.meta.dir);

/** Lets another process make a segment and die of SIGKILL. */
async function leaveBehind(name: string): Promise<void> {
  const script = `const { SharedMemory, objectName } = await import(${JSON.stringify(MODULE)});
    SharedMemory.create(objectName(${JSON.stringify(name)}), 4096); process.kill(process.pid, "SIGKILL");`;
  await Bun.spawn([process.execPath, "-e", script]).exited;
}

test("webproxy doctor tells the dead from the living, and --fix removes the dead alone", async () => {
  const dead = ownChannel();
  const alive = ownChannel();
  const memory = SharedMemory.create(objectName(channelNames(alive).controlBlock("cache")), 4096);
  try {
    await leaveBehind(channelNames(dead).controlBlock("cache"));
    const before = await runCommand(["doctor", "--channel", dead]);
    expect(before.stdout).toContain(
      `problem         channel ${dead}: 1 objects, 4KiB: left by a crash; webproxy doctor --fix`,
    );
    expect(before.stdout).not.toContain(alive);
    expect(before.stdout).toContain("msg_max");
    expect(before.exitCode).toBe(1);
    expect(objectsOf(dead)).toHaveLength(1);

    const fixed = await runCommand(["doctor", "--fix"]);
    expect(fixed.stdout).not.toContain(`problem         channel ${dead}`);
    expect(objectsOf(dead)).toEqual([]);
    expect(existsSync(`/dev/shm${memory.name}`)).toBeTrue();
  } finally {
    memory.unlink();
    memory.close();
  }
}, 30_000);
