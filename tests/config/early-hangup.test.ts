/** SIGHUP while webproxy starts: where there is something to read again it is read once it serves; else it ends, as at any later time. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { getfile } from "../support/getfile-client.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";
import { ConfigFile } from "./support.ts";

const PATIENCE_MS = 30_000;
const SIGHUP_BIT = 1n;

/** Whether that process handles SIGHUP (SigCgt of proc(5)). */
function listensForHangup(pid: number): boolean {
  const caught = /^SigCgt:\s+([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
  return (BigInt(`0x${caught ?? "0"}`) & SIGHUP_BIT) !== 0n;
}

/** As soon as it is listened for. */
async function hangUpEarly(webproxy: Webproxy): Promise<void> {
  await eventually(PATIENCE_MS, "SIGHUP is listened for", () => listensForHangup(webproxy.pid));
  webproxy.kill("SIGHUP");
  expect(webproxy.stdout).toBe("");
}

for (const command of ["start", "cache"] as const)
  test(`with a config file it is read again once it serves (${command})`, async () => {
    using config = new ConfigFile({ origin: "demo" });
    await using webproxy = Webproxy.spawn({ command, args: ["--config", config.path] });
    await hangUpEarly(webproxy);
    await webproxy.ready();
    await webproxy.says("The configuration was read again");
    if (command === "start") expect(await getfile(webproxy.getfile, "/")).toMatchObject({ isComplete: true });
  }, 60_000);

test("without one it ends", async () => {
  await using webproxy = Webproxy.spawn({ origin: "demo" });
  await hangUpEarly(webproxy);
  expect((await webproxy.ended()).exitCode).toBe(0);
}, 60_000);
