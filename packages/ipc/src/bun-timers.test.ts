import { expect, test } from "bun:test";
import type { BunTimers } from "./bun-timers.ts";

/** In a process of its own: from then on all timers of a thread are seen. */
async function run(program: (timers: BunTimers) => Promise<unknown>): Promise<unknown> {
  const { href } = new URL("./bun-timers.ts", import.meta.url);
  const source = `import { BunTimers } from ${JSON.stringify(href)};
    console.log(JSON.stringify(await (${program})(BunTimers.watch())) ?? "null");`;
  const child = Bun.spawn([process.execPath, "-e", source], { stdout: "pipe", stderr: "inherit" });
  return JSON.parse(await new Response(child.stdout).text());
}

test("BunTimers knows the earliest of what was set, until that has fired or was called off", async () => {
  const seen = await run(async (timers) => {
    const rest = () => Math.ceil(timers.restMs(performance.now()) / 1000);
    const seen = [rest() === Number.POSITIVE_INFINITY];
    const far = setTimeout(() => {}, 500_000);
    seen.push(rest() === 500);
    const near = setInterval(() => {}, 100_000);
    seen.push(rest() === 100);
    void Bun.sleep(50);
    seen.push(rest() <= 1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    seen.push(rest() === 100);
    clearInterval(near);
    seen.push(rest() === 500);
    clearTimeout(far);
    seen.push(rest() === Number.POSITIVE_INFINITY);
    return seen;
  });
  expect(seen).toEqual(Array(7).fill(true));
});

test("BunTimers expects an interval again each time that it has fired, and is over it when it is called off within", async () => {
  const seen = await run(async (timers) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const rests: number[] = [];
    const interval = setInterval(() => {
      rests.push(timers.restMs(performance.now()));
      if (rests.length < 3) return;
      clearInterval(interval);
      rests.push(timers.restMs(performance.now()));
      resolve();
    }, 400);
    await promise;
    return rests.map((rest) => (Number.isFinite(rest) ? rest > 0 && rest <= 400 : "none"));
  });
  expect(seen).toEqual([true, true, true, "none"]);
});

test("what is called through BunTimers does what it did", async () => {
  const seen = await run(async () => {
    const { promisify } = await import("node:util");
    const given = await new Promise((resolve) => setTimeout((...args: unknown[]) => resolve(args), 1, "a", "b"));
    const isItself = await new Promise((resolve) => {
      const timer = setTimeout(function (this: unknown) {
        resolve(this === timer);
      }, 1);
    });
    const promised = await promisify(setTimeout)(1, "value");
    let refusal: unknown;
    try {
      setTimeout("nonsense" as unknown as () => void, 1);
    } catch (error) {
      refusal = (error as NodeJS.ErrnoException).code;
    }
    let hasFired = false;
    clearTimeout(Number(setTimeout(() => (hasFired = true), 1)));
    await Bun.sleep(20);
    return [given, isItself, promised, refusal, hasFired];
  });
  expect(seen).toEqual([["a", "b"], true, "value", "ERR_INVALID_ARG_TYPE", false]);
});
