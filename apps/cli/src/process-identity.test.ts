import { expect, test } from "bun:test";
import { isAlive, startTimeOf } from "./process-identity.ts";

test("isAlive() knows a process by its pid and start time", async () => {
  const startTime = startTimeOf(process.pid)!;
  expect(startTime).toBeGreaterThan(0);
  expect(isAlive({ pid: process.pid, startTime })).toBeTrue();
  expect(isAlive({ pid: process.pid, startTime: startTime - 1 })).toBeFalse();
  const child = Bun.spawn(["sleep", "60"]);
  const identity = { pid: child.pid, startTime: startTimeOf(child.pid)! };
  expect(isAlive(identity)).toBeTrue();
  child.kill("SIGKILL");
  await child.exited;
  expect(isAlive(identity)).toBeFalse();
});
