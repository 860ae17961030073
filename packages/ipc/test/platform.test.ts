import { expect, test } from "bun:test";

const INDEX = new URL("../src/index.ts", import.meta.url).href;

/** A process that believes to be on another system and runs one expression of the package. */
async function on(platform: string, expression: string): Promise<{ out: string; err: string }> {
  const source = `Object.defineProperty(process, "platform", { value: ${JSON.stringify(platform)} });
    const ipc = await import(${JSON.stringify(INDEX)});
    try { console.log("value", typeof (${expression})); } catch (error) { console.log("error", error.message); }`;
  const child = Bun.spawn([process.execPath, "-e", source], { stdout: "pipe", stderr: "pipe" });
  const [out, err] = [await new Response(child.stdout).text(), await new Response(child.stderr).text()];
  expect(await child.exited).toBe(0);
  return { out, err };
}

for (const platform of ["darwin", "win32"]) {
  test(`on ${platform} importing works, names and limits can be asked, and the first use says that it needs Linux`, async () => {
    expect(await on(platform, `ipc.objectName("/a")`)).toEqual({ out: "value string\n", err: "" });
    expect(await on(platform, "ipc.limits()")).toEqual({ out: "value object\n", err: "" });
    for (const use of [
      `ipc.SharedMemory.create(ipc.objectName("/never"), 64)`,
      "ipc.SharedMemory.anonymous(64)",
      `ipc.MessageQueue.create(ipc.objectName("/never"), { maxmsg: 1, msgsize: 8 })`,
      `ipc.Semaphore.create(ipc.objectName("/never"), 0)`,
      `ipc.ExclusiveLock.tryAcquire(ipc.objectName("/never"))`,
      `ipc.Ring.create(ipc.objectName("/never"), 64)`,
      `ipc.SegmentPool.create(ipc.objectName("/never"), { segments: 1, segmentBytes: 4096 })`,
      "ipc.list()",
      "ipc.doctor()",
      "ipc.clean()",
    ]) {
      const { out } = await on(platform, use);
      expect([use, out]).toEqual([use, expect.stringContaining(`error Cannot use POSIX IPC on ${platform}`)]);
      expect(out).toContain("run the program on Linux");
    }
  }, 30_000);
}
