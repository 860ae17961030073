import { describe, expect, test } from "bun:test";
import { release } from "node:os";
import { isStopped, ownThreadId, threadTimes, waitedOfAllMs } from "./scheduling.ts";

async function eventually(what: string, isSo: () => boolean): Promise<void> {
  for (let tries = 0; !isSo(); tries++) {
    if (tries > 2_000) throw new Error(`Not so after 20 s: ${what}`);
    await Bun.sleep(10);
  }
}

describe("isStopped()", () => {
  test("is true from SIGSTOP to SIGCONT, and false of one that is no more", async () => {
    const child = Bun.spawn(["sleep", "60"]);
    try {
      expect(isStopped(child.pid)).toBe(false);
      child.kill("SIGSTOP");
      await eventually("it is stopped", () => isStopped(child.pid));
      child.kill("SIGCONT");
      await eventually("it goes on", () => !isStopped(child.pid));
    } finally {
      child.kill("SIGKILL");
      await child.exited;
    }
    expect(isStopped(child.pid)).toBe(false);
  });
});

test("ownThreadId() is another one in a Worker", async () => {
  const source = `import { ownThreadId } from ${JSON.stringify(new URL("./scheduling.ts", import.meta.url).href)}; postMessage(ownThreadId()); setInterval(() => {}, 1000);`; // it is asked about while it lives
  const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "application/javascript" })));
  try {
    const inWorker = await new Promise<number>((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = reject;
    });
    expect(ownThreadId()).toBe(process.pid);
    expect(inWorker).not.toBe(process.pid);
    expect(threadTimes(process.pid, inWorker).ranMs).toBeGreaterThan(0);
  } finally {
    worker.terminate();
  }
});

describe("threadTimes()", () => {
  test("knows a thread that waits for another one", async () => {
    const module = JSON.stringify(new URL("./scheduling.ts", import.meta.url).href);
    const source = `import { ownThreadId } from ${module}; postMessage(ownThreadId()); Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000);`;
    const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "application/javascript" })));
    const inWorker = await new Promise<number>((resolve) => {
      worker.onmessage = ({ data }) => resolve(data);
    });
    await eventually("it waits", () => threadTimes(process.pid, inWorker).state === "lock");
    worker.terminate();
  });

  test("counts waits while more programs want a processor than there are, and knows nothing of no thread", async () => {
    expect(threadTimes(process.pid, 0)).toEqual({ state: "other", ranMs: 0, waitedMs: 0 });
    // All on one processor: each has to wait while another runs.
    const busy = Array.from({ length: 3 }, () => Bun.spawn(["taskset", "-c", "0", "sh", "-c", "while :; do :; done"]));
    try {
      await eventually("it has waited", () => busy.every(({ pid }) => threadTimes(pid, pid).waitedMs > 20));
      for (const { pid } of busy) expect(threadTimes(pid, pid).state).toBe("ready");
      expect(waitedOfAllMs(busy[0]!.pid)).toBeGreaterThan(20);
    } finally {
      for (const one of busy) one.kill("SIGKILL");
      await Promise.all(busy.map((one) => one.exited));
    }
  });

  test("tells a thread that waits to be given a processor from one that computes: neither of its numbers grows", async () => {
    const loop = "while :; do :; done";
    const ahead = Bun.spawn(["taskset", "-c", "0", "sh", "-c", loop]);
    const behind = Bun.spawn(["taskset", "-c", "0", "chrt", "--idle", "0", "sh", "-c", loop]);
    const look = ({ pid }: Bun.Subprocess) => threadTimes(pid, pid);
    try {
      await eventually("it has begun", () => look(behind).waitedMs > 20);
      let isStarved = false;
      for (let tries = 0; !isStarved && tries < 200; tries++) {
        const [before, other] = [look(behind), look(ahead)];
        await Bun.sleep(100);
        const after = look(behind);
        isStarved = after.state === "ready" && Bun.deepEquals(before, after) && look(ahead).ranMs > other.ranMs;
      }
      expect(isStarved).toBe(true);
    } finally {
      for (const one of [ahead, behind]) one.kill("SIGKILL");
      await Promise.all([ahead.exited, behind.exited]);
    }
  });
});

test("requestSlice() is granted from Linux 6.12 on, and leaves the nice value", async () => {
  const [major = 0, minor = 0] = release().split(".").map(Number);
  const knowsSlices = major > 6 || (major === 6 && minor >= 12);
  const source = `
    import { getPriority, setPriority } from "node:os";
    import { requestSlice } from ${JSON.stringify(new URL("./scheduling.ts", import.meta.url).href)};
    setPriority(0, 17);
    console.log(requestSlice(400), getPriority(0));`;
  const child = Bun.spawn([process.execPath, "-e", source], { stdout: "pipe" });
  expect(await new Response(child.stdout).text()).toBe(`${knowsSlices} 17\n`);
});
