import { describe, expect, test } from "bun:test";

const MODULE = JSON.stringify(new URL("./uncaught.ts", import.meta.url).href);
/** As the program's main module does, which waits for what it runs. */
const WAIT = "await new Promise(() => {});";

/** A process that listens for such errors and then does this. */
async function run(script: string): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  const head = `const { exitCodeOf, listenForUncaught, uncaughtError, uncaughtIsSaidBy } = await import(${MODULE});
    listenForUncaught(); setInterval(() => {}, 1000);`;
  const child = Bun.spawn([process.execPath, "-e", head + script], { stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { exitCode, stdout, stderr };
}

describe("an error that nobody catches", () => {
  for (const { how, fault } of [
    { how: "is thrown", fault: `setTimeout(() => { throw new Error("a fault"); });` },
    { how: "is a rejection", fault: `setTimeout(() => { void Promise.reject(new Error("a fault")); });` },
    { how: "is no Error", fault: `setTimeout(() => { throw "a fault"; });` },
  ]) {
    test(`${how}: the process says so and ends with exit code 1`, async () => {
      const said = "webproxy: an error that nobody caught ends this process: a fault\n";
      expect(await run(fault + WAIT)).toEqual({ exitCode: 1, stdout: "", stderr: said });
    });
  }

  test("is said in the log, once, and whoever has asked ends the process in order, with exit code 1 as well", async () => {
    const script = `uncaughtIsSaidBy(({ level, message }) => console.log(level, message));
      setInterval(() => { throw new Error("a fault"); }, 1);
      const { message } = await uncaughtError();
      await Bun.sleep(50);
      console.log("ending over " + message);
      process.exit(exitCodeOf(0));`;
    expect(await run(script)).toEqual({
      exitCode: 1,
      stdout: "error an error that nobody caught ends this process: a fault\nending over a fault\n",
      stderr: "",
    });
  });

  test("is not said where a command's reader has gone", async () => {
    const script = `setTimeout(() => { throw Object.assign(new Error("a fault"), { code: "EPIPE" }); });${WAIT}`;
    expect(await run(script)).toEqual({ exitCode: 1, stdout: "", stderr: "" });
  });

  test("is the end although it can not be said", async () => {
    const script = `uncaughtIsSaidBy(() => { throw new Error("no log"); });
      setTimeout(() => { throw new Error("a fault"); });${WAIT}`;
    expect((await run(script)).exitCode).toBe(1);
  });

  test("changes no exit code where there was none", async () => {
    expect((await run("process.exit(exitCodeOf(0));")).exitCode).toBe(0);
  });
});
