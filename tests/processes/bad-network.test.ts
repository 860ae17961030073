/**
 * Client, proxy and origin in three network namespaces, with lines between them that lose a fiftieth of all packets and delay the others by 5 to 25 ms, and are cut now and then: transfers
 * complete, or fail so that the client can tell. (As root, where there is /dev/net/tun.)
 */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { IS_ROOT } from "../support/ordinary-user.ts";

const NAMESPACE = ["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec sleep 2147483647"];
const CAN =
  IS_ROOT &&
  existsSync("/dev/net/tun") &&
  Bun.spawnSync(["unshare", "--net", "ip", "tuntap", "add", "dev", "try0", "mode", "tun"]).exitCode === 0;

async function openNamespace() {
  const holder = Bun.spawn(NAMESPACE, { stdio: ["ignore", "pipe", "inherit"] });
  await holder.stdout.getReader().read();
  return {
    pid: String(holder.pid),
    async [Symbol.asyncDispose]() {
      holder.kill("SIGKILL");
      await holder.exited;
    },
  };
}

test.skipIf(!CAN)(
  "transfers over lines that lose, delay and are cut complete, or fail so that one can tell",
  async () => {
    await using client = await openNamespace();
    await using proxy = await openNamespace();
    await using origin = await openNamespace();
    const script = join(import.meta.dir, "bad-network-script.ts");
    const run = Bun.spawn(
      ["nsenter", "--target", client.pid, "--net", process.execPath, script, proxy.pid, origin.pid],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    const [stdout, stderr] = await Promise.all([new Response(run.stdout).text(), new Response(run.stderr).text()]);
    expect({ exitCode: await run.exited, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(stdout).toMatch(/^fine, by (netem|relay)\n$/);
    console.log(`lines made bad: ${stdout.trim()}`);
  },
  180_000,
);
