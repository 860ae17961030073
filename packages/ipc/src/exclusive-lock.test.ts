import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { testName, watchdog } from "../test/names.ts";
import { ExclusiveLock } from "./exclusive-lock.ts";
import { type ObjectName, pathOf } from "./object-name.ts";
import { SharedMemory } from "./shared-memory.ts";

setDefaultTimeout(60_000); // the watchdogs are faster, and say what hangs

const SOURCE = JSON.stringify(new URL("./index.ts", import.meta.url).pathname);

function acquire(name: ObjectName): ExclusiveLock {
  const lock = ExclusiveLock.tryAcquire(name);
  if (!(lock instanceof ExclusiveLock)) throw new Error(`held by ${lock.heldByPid}`);
  return lock;
}

test("ExclusiveLock has one holder, says which, and leaves no file", () => {
  const name = testName();
  expect(ExclusiveLock.holder(name)).toBeUndefined();
  const lock = acquire(name);
  expect(readFileSync(pathOf(name), "utf8").trim()).toBe(`${process.pid}`);
  expect(ExclusiveLock.tryAcquire(name)).toEqual({ heldByPid: process.pid });
  expect(ExclusiveLock.holder(name)).toBe(process.pid);
  lock.release();
  lock.release();
  expect(existsSync(pathOf(name))).toBe(false);
  acquire(name).release();
});

test("ExclusiveLock takes over the file of a dead holder, and release() leaves another's file alone", () => {
  const name = testName();
  writeFileSync(pathOf(name), "4194305    \n", { mode: 0o600 });
  expect(ExclusiveLock.holder(name)).toBeUndefined();
  const lock = acquire(name);
  expect(readFileSync(pathOf(name), "utf8")).toBe(`${`${process.pid}`.padEnd(11)}\n`);
  unlinkSync(pathOf(name)); // somebody's careless rm
  const other = acquire(name);
  lock.release();
  expect(existsSync(pathOf(name))).toBe(true);
  other.release();
  expect(existsSync(pathOf(name))).toBe(false);
});

test("ExclusiveLock refuses a symbolic link", () => {
  const name = testName();
  symlinkSync("/etc/passwd", pathOf(name));
  try {
    expect(() => ExclusiveLock.tryAcquire(name)).toThrow(expect.objectContaining({ code: "ELOOP" }));
  } finally {
    unlinkSync(pathOf(name));
  }
});

test("ExclusiveLock is free once its holder is killed, and its children do not keep it", async () => {
  const name = testName();
  const script = `
    import { ExclusiveLock, objectName } from ${SOURCE};
    const lock = ExclusiveLock.tryAcquire(objectName(${JSON.stringify(name)}));
    const child = Bun.spawn(["sleep", "60"]);
    console.log(lock instanceof ExclusiveLock, child.pid);
    setInterval(() => undefined, 1000);
  `;
  const holder = Bun.spawn([process.execPath, "-e", script], { stderr: "inherit" });
  let sleeper = 0;
  try {
    const { value } = await watchdog(holder.stdout.getReader().read(), "the holder");
    const [locked, pid] = new TextDecoder().decode(value).trim().split(" ");
    sleeper = Number(pid);
    expect(locked).toBe("true");
    expect(ExclusiveLock.tryAcquire(name)).toEqual({ heldByPid: holder.pid });
    holder.kill("SIGKILL");
    await holder.exited;
    expect(existsSync(pathOf(name))).toBe(true);
    acquire(name).release();
  } finally {
    holder.kill("SIGKILL");
    if (sleeper > 0) process.kill(sleeper, "SIGKILL");
  }
});

test("ExclusiveLock never has two holders while eight processes take and remove it", async () => {
  const name = testName();
  const counter = testName("-counter");
  const script = `
    import { ExclusiveLock, SharedMemory, objectName } from ${SOURCE};
    const memory = SharedMemory.open(objectName(${JSON.stringify(counter)}));
    let rounds = 0;
    while (rounds < 300) {
      ExclusiveLock.holder(objectName(${JSON.stringify(name)})); // looking must not keep anybody from taking it for long
      const lock = ExclusiveLock.tryAcquire(objectName(${JSON.stringify(name)}));
      if (!(lock instanceof ExclusiveLock)) continue;
      if (Atomics.add(memory.i32, 0, 1) !== 0) process.exit(3);
      Atomics.sub(memory.i32, 0, 1);
      lock.release();
      rounds += 1;
    }
  `;
  using memory = SharedMemory.create(counter, 4);
  try {
    const children = Array.from({ length: 8 }, () =>
      Bun.spawn([process.execPath, "-e", script], { stderr: "inherit" }),
    );
    const codes = await watchdog(Promise.all(children.map((child) => child.exited)), "the holders", 60_000);
    expect(codes).toEqual(new Array(8).fill(0));
    expect(existsSync(pathOf(name))).toBe(false);
  } finally {
    memory.unlink();
  }
});
