/** A supervisor that the kernel gives no other process: what has died is tried again until there is room for it, and where there is never any it ends in words, and not in clients that wait for nobody. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { http } from "../support/http-client.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

const SOON_MS = 30_000;

/** It keeps the descriptors that it has, and gets one more: too few for the channel to a child. */
function leaveOneDescriptor(pid: number): void {
  const open = new Set(readdirSync(`/proc/${pid}/fd`).map(Number));
  let free = 0;
  while (open.has(free)) free++;
  limitDescriptors(pid, free + 1);
}

function limitDescriptors(pid: number, limit: number): void {
  Bun.spawnSync(["prlimit", "--pid", String(pid), `--nofile=${limit}:`]);
}

/** Its processes for this side, spare ones too. */
function childrenOf({ pid }: Webproxy, side: string): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim().split(" ").map(Number);
  return children.filter((child) => argumentsOf(child).includes(side));
}

function argumentsOf(pid: number): string[] {
  try {
    const line = readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0");
    return line.map((argument) => argument.replace(/^--for=/, ""));
  } catch {
    return [];
  }
}

/** Nothing of this side is left, and nothing can be started. */
async function endAll(webproxy: Webproxy, side: "proxy" | "cache"): Promise<void> {
  await webproxy.stats(); // what it takes to answer that is loaded
  limitDescriptors(webproxy.pid, 3); // none: what a process that ends gives back can not be had either
  await eventually(SOON_MS, `no ${side} can be started`, () => {
    for (const child of childrenOf(webproxy, side)) process.kill(child, "SIGKILL");
    return webproxy.stderr.includes(`the ${side} process could not be started`);
  });
  leaveOneDescriptor(webproxy.pid);
}

for (const side of ["proxy", "cache"] as const) {
  test(`55 a supervisor that can not start a ${side} again: it does once it can, and all are served`, async () => {
    await using webproxy = await Webproxy.start({ origin: "demo" });
    await endAll(webproxy, side);
    limitDescriptors(webproxy.pid, 1_024);
    expect(await http(webproxy.http, "/", { timeoutMs: SOON_MS })).toMatchObject({ status: "200", isComplete: true });
    await eventually(SOON_MS, `a ${side} serves`, async () => (await webproxy.stats())[side]?.state === "serving");
    expect((await webproxy.stop()).exitCode).toBe(0);
  }, 120_000);
}

test("55 a supervisor that can never start a proxy again gives up, and says why", async () => {
  await using webproxy = await Webproxy.start({ origin: "demo" });
  await endAll(webproxy, "proxy");
  const { exitCode, stderr } = await webproxy.ended();
  expect(exitCode).toBe(1);
  expect(stderr).toContain("Cannot keep the proxy process running: it could not be started,");
  expect(stderr).toContain("times in a row without having served: EMFILE");
}, 120_000);
