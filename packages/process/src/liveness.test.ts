import { expect, test } from "bun:test";
import { startTimeOf } from "@proj/ipc";
import { isAlive, isSurelyAlive } from "./liveness.ts";

test("a process lives while it runs, by its start time too; one that was killed does not", async () => {
  const child = Bun.spawn(["sleep", "60"]);
  const startTime = startTimeOf(child.pid)!;
  for (const lives of [isAlive, isSurelyAlive]) {
    expect(lives(child.pid, startTime)).toBe(true);
    expect(lives(child.pid, startTime + 1)).toBe(false);
  }
  child.kill("SIGKILL");
  await child.exited;
  for (const lives of [isAlive, isSurelyAlive]) expect(lives(child.pid, startTime)).toBe(false);
});
