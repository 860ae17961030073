/**
 * A process with its code loaded waits beside each process that is supervised, and takes its place when that dies: who has come meanwhile is served. It goes by what holds then, shows
 * as what it is in the process list, and is gone when its supervisor is, in whichever way that ends.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { ConfigFile } from "../config/support.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { http } from "../support/http-client.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

const SOON_MS = 30_000;

type Side = "proxy" | "cache";

/** Those whose arguments hold all of these words. */
function childrenOf(webproxy: Webproxy, ...words: readonly string[]): number[] {
  const { pid } = webproxy;
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim().split(" ").map(Number);
  return children.filter((child) => words.every((word) => argumentsOf(child).includes(word)));
}

function argumentsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0");
  } catch {
    return [];
  }
}

function spareOf(webproxy: Webproxy, side: Side = "proxy"): Promise<number> {
  return eventually(SOON_MS, `there is a spare ${side}`, () => childrenOf(webproxy, "spare", `--for=${side}`)[0]);
}

async function replaced(webproxy: Webproxy, former: number, side: Side = "proxy"): Promise<number> {
  return await eventually(SOON_MS, `another ${side} serves`, async () => {
    const { [side]: one } = await webproxy.stats();
    return one?.state === "serving" && one.pid !== former ? one.pid : undefined;
  });
}

async function expectServed(webproxy: Webproxy): Promise<void> {
  expect(await http(webproxy.http, "/a")).toMatchObject({ status: "200", isComplete: true, length: 5 });
}

function origin(): CountingOrigin {
  const one = CountingOrigin.start();
  one.set("/a", { body: Buffer.from("hello"), headers: { "Cache-Control": "max-age=600" } });
  return one;
}

/** A process that has ended and waits to be noticed runs no more. */
function isRunning(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return false;
  }
}

describe("a spare process", () => {
  for (const side of ["proxy", "cache"] as const) {
    test(`takes the place of a ${side} that is killed, again and again, and shows as it`, async () => {
      await using files = origin();
      await using webproxy = await Webproxy.start({ origin: files.url });
      await expectServed(webproxy);
      for (let death = 0; death < 3; death++) {
        const spare = await spareOf(webproxy, side);
        const { pid } = (await webproxy.stats())[side]!;
        process.kill(pid, "SIGKILL");
        expect(await replaced(webproxy, pid, side)).toBe(spare);
        await expectServed(webproxy);
        expect(childrenOf(webproxy, side)).toEqual([spare]);
      }
      expect((await webproxy.stats()).restarts).toEqual({ proxy: 0, cache: 0, [side]: 3 });
      const last = await spareOf(webproxy, side);
      expect((await webproxy.stop()).exitCode).toBe(0);
      expect(isRunning(last)).toBeFalse();
    });
  }

  test("is stopped when it is needed: it is replaced like any other", async () => {
    await using files = origin();
    await using webproxy = await Webproxy.start({ origin: files.url });
    const spare = await spareOf(webproxy);
    process.kill(spare, "SIGSTOP");
    const { proxy } = await webproxy.stats();
    process.kill(proxy!.pid, "SIGKILL");
    const next = await replaced(webproxy, proxy!.pid);
    expect([spare, proxy!.pid]).not.toContain(next);
    await expectServed(webproxy);
  });

  test("dies: another one is made", async () => {
    await using files = origin();
    await using webproxy = await Webproxy.start({ origin: files.url });
    const spare = await spareOf(webproxy);
    process.kill(spare, "SIGKILL");
    await eventually(SOON_MS, "it is gone", () => !isRunning(spare));
    await expectServed(webproxy);
    expect(await spareOf(webproxy)).not.toBe(spare);
    expect((await webproxy.stats()).restarts).toEqual({ proxy: 0, cache: 0 });
  });

  test("goes by the configuration that holds when it begins, not by the one that held when it was made", async () => {
    await using former = origin();
    await using later = CountingOrigin.start();
    later.set("/a", { body: Buffer.from("hello again"), headers: { "Cache-Control": "max-age=600" } });
    using config = new ConfigFile({ origin: former.url });
    await using webproxy = await Webproxy.start({ args: ["--config", config.path] });
    await expectServed(webproxy);
    const spare = await spareOf(webproxy);
    config.write({ origin: later.url });
    webproxy.kill("SIGHUP");
    await webproxy.says("The configuration was read again");
    const { proxy } = await webproxy.stats();
    process.kill(proxy!.pid, "SIGKILL");
    expect(await replaced(webproxy, proxy!.pid)).toBe(spare);
    expect(await http(webproxy.http, "/a")).toMatchObject({ status: "200", isComplete: true, length: 11 });
  });

  test("ends with a supervisor that is killed", async () => {
    await using files = origin();
    await using webproxy = await Webproxy.start({ origin: files.url });
    const spare = await spareOf(webproxy);
    process.kill(webproxy.pid, "SIGKILL");
    await eventually(SOON_MS, "it has ended", () => !isRunning(spare));
  });
});
