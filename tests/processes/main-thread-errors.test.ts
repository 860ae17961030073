/** CHECKLIST 49: an error of ours that nobody catches in a main thread, under which Bun would go on. Its process ends, and is replaced, or where it is the supervisor all is stopped in order. */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { http } from "../support/http-client.ts";
import { TempDirectory } from "../support/temp-directory.ts";
import { faultCounts, NO_FAULTS, Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

const SOON_MS = 30_000;
const FAULT = "A fault of the test";
const WAYS = [
  { what: "is thrown", how: `throw new Error("${FAULT}");` },
  { what: "is a rejection", how: `void Promise.reject(new Error("${FAULT}"));` },
] as const;

/** Has the main thread of this process fail every few milliseconds once that is armed, of a child the one that serves then and no other. */
async function faultyMain(directory: TempDirectory, role: "start" | "proxy" | "cache", how: string) {
  const preload = directory.file("faults.ts");
  const armed = directory.file("armed");
  const isMeant =
    role === "start"
      ? `process.argv[2] === "start"`
      : `readFileSync(${JSON.stringify(armed)}, "utf8") === String(process.pid)`;
  const script = `
    import { existsSync, readFileSync } from "node:fs";
    if (Bun.isMainThread) setInterval(() => {
      if (!existsSync(${JSON.stringify(armed)}) || !(${isMeant})) return;
      ${how}
    }, 5);`;
  await Bun.write(preload, script);
  return {
    env: { BUN_OPTIONS: `--preload=${preload}` },
    arm: (pid: number) => writeFileSync(armed, String(pid)),
  };
}

for (const { what, how } of WAYS) {
  for (const side of ["proxy", "cache"] as const) {
    test(`49 an error in the main thread of the ${side} that ${what}: its process is replaced, the log says why, and all are served`, async () => {
      using directory = new TempDirectory({ mode: 0o777 });
      const { env, arm } = await faultyMain(directory, side, how);
      await using webproxy = await Webproxy.start({ origin: "demo", env });
      const { pid } = (await webproxy.stats())[side]!;
      arm(pid);
      await eventually(SOON_MS, `another ${side} serves`, async () => {
        const { [side]: one } = await webproxy.stats();
        return one?.state === "serving" && one.pid !== pid;
      });
      await webproxy.says(`an error that nobody caught ends this process: ${FAULT}`);
      await webproxy.says(`the ${side} process ended with exit code 1; starting it again at once`);
      expect(await http(webproxy.http, "/")).toMatchObject({ status: "200", isComplete: true });
      const after = await webproxy.stats();
      expect(after.restarts).toEqual({ proxy: 0, cache: 0, [side]: 1 });
      expect(faultCounts(after)).toEqual(NO_FAULTS);
      expect((await webproxy.stop()).exitCode).toBe(0);
    }, 120_000);
  }

  test(`49 an error in the supervisor that ${what}, again and again: all is stopped in order, with exit code 1`, async () => {
    using directory = new TempDirectory({ mode: 0o777 });
    const { env, arm } = await faultyMain(directory, "start", how);
    await using webproxy = await Webproxy.start({ origin: "demo", env });
    arm(webproxy.pid);
    const { exitCode, stderr } = await webproxy.ended();
    expect(exitCode).toBe(1);
    expect(stderr.split(`an error that nobody caught ends this process: ${FAULT}`)).toHaveLength(2);
    expect(stderr).not.toContain("killing");
    await webproxy.expectNothingLeft(0);
  }, 120_000);
}
