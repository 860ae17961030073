import { expect, test } from "bun:test";

/** What happens on a /dev/shm of this process's own, in a mount namespace, that is full: of bytes, and of files. */
const INDEX = new URL("../src/index.ts", import.meta.url).href;
const UNSHARE = process.geteuid?.() === 0 ? ["unshare", "-m"] : ["unshare", "-Urm"];
const canMount =
  Bun.which("unshare") !== null &&
  Bun.spawnSync([...UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/dev/shm"]).exitCode === 0;
if (!canMount) console.log("skipped: no right to mount a /dev/shm of our own (unshare -m)");

/** What a process says that runs `body` where /dev/shm is mounted with `options`; `refusal(make)` is an error's message. */
async function within(options: string, body: string): Promise<string[]> {
  const source = `import * as ipc from ${JSON.stringify(INDEX)}; import { readdirSync } from "node:fs";
    const named = (text) => ipc.objectName("/full." + text);
    const refusal = (make) => { try { return String(make()); } catch (error) { return error.code + " " + error.message; } };
    const files = () => readdirSync("/dev/shm").filter((file) => file.startsWith("full.")).sort().join(" ");
    ${body}`;
  const command = `mount -t tmpfs -o mode=1777,${options} tmpfs /dev/shm && exec "$0" -e "$1"`;
  const child = Bun.spawn([...UNSHARE, "sh", "-c", command, process.execPath, source], { stdout: "pipe" });
  const lines = (await new Response(child.stdout).text()).trimEnd().split("\n");
  expect(await child.exited).toBe(0);
  return lines;
}

test.skipIf(!canMount)("a /dev/shm without a byte left: ENOSPC, what to do, and nothing is left", async () => {
  const [pool, ring, memory, semaphore, lock, left] = await within(
    "size=4m",
    `console.log(refusal(() => ipc.SegmentPool.create(named("pool"), { segments: 64, segmentBytes: 262144 })));
     console.log(refusal(() => ipc.Ring.create(named("ring"), 1 << 25)));
     const all = ipc.SharedMemory.create(named("all"), ipc.limits().sharedMemory.freeBytes);
     console.log(refusal(() => ipc.SharedMemory.create(named("memory"), 1)));
     console.log(refusal(() => ipc.Semaphore.create(named("semaphore"), 1)));
     console.log(refusal(() => ipc.ExclusiveLock.tryAcquire(named("lock"))));
     all.unlink();
     console.log(files(), ipc.list({ prefix: "/full" }).length);`,
  );
  for (const refused of [pool, ring, memory, semaphore, lock]) {
    expect(refused).toMatch(/^ENOSPC .* of 4194304 bytes free.*remount,size=SIZE/);
  }
  expect(left).toBe(" 0");
});

test.skipIf(!canMount)("a /dev/shm without a file left: the advice is about files, not bytes", async () => {
  const [made, ...refusals] = await within(
    "size=4m,nr_inodes=9",
    `const made = [];
     let last = "";
     for (let i = 0; last === ""; i++) last = refusal(() => (made.push(ipc.SharedMemory.create(named(i), 64)), ""));
     console.log(made.length > 0, ipc.doctor().problems.some((problem) => problem.includes("nr_inodes")));
     console.log(last);
     console.log(refusal(() => ipc.Semaphore.create(named("semaphore"), 1)));
     console.log(refusal(() => ipc.ExclusiveLock.tryAcquire(named("lock"))));
     console.log(refusal(() => ipc.Doorbell.listen({ name: named("bell"), flag: { memory: made[0], offset: 0 } })));
     for (const each of made) each.unlink();
     if (files() !== "") throw new Error(files());`,
  );
  expect(made).toBe("true true");
  expect(refusals).toHaveLength(4);
  for (const refused of refusals) expect(refused).toMatch(/^ENOSPC .* holds 9 files, .*remount,nr_inodes=/);
});
