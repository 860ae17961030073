/**
 * A file system of the test's own, small, full, read-only, without inodes: requests are answered from memory and origin, `/readyz` and the log say what is the matter, and
 * when it is over the store goes on by itself. (As root, in a mount namespace of the test's own.)
 */
import { describe, expect, test } from "bun:test";
import { sha256, someBytes } from "../support/bytes.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { http } from "../support/http-client.ts";
import { CAN_MOUNT } from "../support/ordinary-user.ts";
import { TempDirectory } from "../support/temp-directory.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** A webproxy whose cache directory is a file system with these options. */
class OnSmallDisk implements AsyncDisposable {
  readonly store: string;
  readonly webproxy: Webproxy;
  readonly #directory: TempDirectory;

  private constructor(directory: TempDirectory, webproxy: Webproxy) {
    this.#directory = directory;
    this.store = directory.file("store");
    this.webproxy = webproxy;
  }

  static async start(origin: string, options: string, args: readonly string[]): Promise<OnSmallDisk> {
    const directory = new TempDirectory();
    const store = directory.file("store");
    const script = `mkdir ${store}; mount -t tmpfs -o ${options} tmpfs ${store}; exec "$@"`;
    const webproxy = await Webproxy.start({
      origin,
      wrap: ["unshare", "--mount", "sh", "-c", script, "sh"],
      args: ["--cache-dir", store, "--hot", "0", ...args],
    });
    return new OnSmallDisk(directory, webproxy);
  }

  /** Runs a shell command where the file system is mounted. */
  run(command: string): void {
    const { exitCode, stderr } = Bun.spawnSync(["nsenter", "-t", String(this.webproxy.pid), "-m", "sh", "-c", command]);
    if (exitCode !== 0) throw new Error(`${command}: ${stderr.toString()}`);
  }

  /** What `/readyz` says, which is 200 all the time. */
  async status(): Promise<string> {
    const { host, port } = this.webproxy.admin;
    const response = await fetch(`http://${host}:${port}/readyz`);
    expect(response.status).toBe(200);
    return ((await response.json()) as { status: string }).status;
  }

  /** A value of the cache's in `/metrics`. */
  async metric(name: string): Promise<number> {
    const { host, port } = this.webproxy.admin;
    const text = await (await fetch(`http://${host}:${port}/metrics`)).text();
    return Number(new RegExp(`^webproxy_cache_${name} (.*)$`, "m").exec(text)?.[1]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.webproxy[Symbol.asyncDispose]();
    this.#directory[Symbol.dispose]();
  }
}

/** Asks for so many bodies, each of which has to come whole. */
async function ask(
  webproxy: Webproxy,
  origin: CountingOrigin,
  name: string,
  count: number,
  bytes: number,
): Promise<void> {
  for (let index = 0; index < count; index++) {
    const path = `/${name}/${index}`;
    const body = someBytes(bytes, index);
    origin.set(path, { body, headers: { "Cache-Control": "max-age=3600", ETag: `"${path}"` } });
    expect(await http(webproxy.http, path)).toMatchObject({ status: "200", isComplete: true, sha256: sha256(body) });
  }
}

const DISK_ONLY = ["--memory", "0", "--threads", "1"];

describe.skipIf(!CAN_MOUNT)("a cache directory (skipped unless root may mount)", () => {
  test("on a file system that others fill: no request fails, /readyz and the log say so, and it recovers by itself", async () => {
    await using origin = CountingOrigin.start();
    await using small = await OnSmallDisk.start(origin.url, "size=24m", DISK_ONLY);
    const { webproxy, store } = small;
    await ask(webproxy, origin, "before", 5, 100 * KIB); // less than what others keep: giving it up makes no room
    small.run(`dd if=/dev/zero of=${store}/somebody-else bs=64k 2>/dev/null || true`);
    await ask(webproxy, origin, "full", 30, 100 * KIB);
    await eventually(20_000, "/readyz says degraded", async () => (await small.status()) === "degraded");
    await webproxy.says("refuses");
    await eventually(20_000, "/metrics says it too", async () => (await small.metric("stores_degraded_open")) === 1);
    expect(await small.metric("store_errors_total")).toBeGreaterThan(0);
    small.run(`rm ${store}/somebody-else`);
    await eventually(60_000, "it is as before", async () => (await small.status()) === "ready");
    await webproxy.says("takes responses again");
    await eventually(20_000, "/metrics says it too", async () => (await small.metric("stores_degraded_open")) === 0);
    await ask(webproxy, origin, "after", 5, 100 * KIB);
    const asked = origin.requests.length;
    await ask(webproxy, origin, "after", 5, 100 * KIB);
    expect(origin.requests.length).toBe(asked);
  }, 180_000);

  test("that becomes read-only, with memory before it: hits go on, what is new is kept in memory, and written once it can be", async () => {
    await using origin = CountingOrigin.start();
    await using small = await OnSmallDisk.start(origin.url, "size=24m", ["--memory", "16MiB", "--threads", "1"]);
    const { webproxy, store } = small;
    await ask(webproxy, origin, "before", 10, 30 * KIB);
    await eventually(
      20_000,
      "copies on disk",
      async () => (await webproxy.stats()).cache!.counters.diskBytes >= 300 * KIB,
    );
    // Another mount of the same: who has files open for writing forbids to remount what he has them open through.
    small.run(`mount --bind ${store} ${store}; mount -o remount,bind,ro ${store}`);
    await ask(webproxy, origin, "during", 10, 30 * KIB);
    await eventually(30_000, "/readyz says degraded", async () => (await small.status()) === "degraded");
    const asked = origin.requests.length;
    await ask(webproxy, origin, "before", 10, 30 * KIB);
    await ask(webproxy, origin, "during", 10, 30 * KIB);
    expect(origin.requests.length).toBe(asked);
    // What can not be removed now must not come back with a restart: the purge says so.
    const { host, port } = webproxy.admin;
    const purged = await fetch(`http://${host}:${port}/api/purge`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ prefix: "/before/" }),
    });
    expect(purged.status).toBe(503);
    expect(await purged.text()).toContain("a restart might bring back");
    await ask(webproxy, origin, "before", 10, 30 * KIB);
    expect(origin.requests.length).toBe(asked + 10);
    small.run(`umount ${store}`);
    await eventually(60_000, "it is as before", async () => (await small.status()) === "ready");
    await eventually(
      60_000,
      "all of them on disk",
      async () => (await webproxy.stats()).cache!.counters.diskBytes >= 600 * KIB,
    );
  }, 180_000);

  test("without inodes: others keep their part, hits go on", async () => {
    await using origin = CountingOrigin.start();
    // 256 directories, and those around them, take their inodes first.
    await using small = await OnSmallDisk.start(origin.url, "size=64m,nr_inodes=600", DISK_ONLY);
    const { webproxy, store } = small;
    await ask(webproxy, origin, "many", 700, 1 * KIB);
    const asked = origin.requests.length;
    await ask(webproxy, origin, "many/again", 3, 1 * KIB);
    await ask(webproxy, origin, "many/again", 3, 1 * KIB);
    expect(origin.requests.length).toBe(asked + 3);
    small.run(`touch ${store}/somebody-else`);
    expect((await webproxy.stats()).cache!.counters.responsesStored).toBeGreaterThan(100);
    expect((await webproxy.stats()).cache!.counters.storedBroken).toBe(0);
  }, 180_000);

  test("on a file system that is smaller than the limit: it takes what there is, but for the part that others keep", async () => {
    await using origin = CountingOrigin.start();
    await using small = await OnSmallDisk.start(origin.url, "size=16m", [...DISK_ONLY, "--disk", "64MiB"]);
    await ask(small.webproxy, origin, "many", 150, 200 * KIB);
    expect((await small.webproxy.stats()).cache!.counters.storeErrors).toBe(0);
    expect((await small.webproxy.stats()).cache!.counters.diskBytes).toBeLessThanOrEqual(15.5 * MIB);
    small.run(`dd if=/dev/zero of=${small.store}/somebody-else bs=64k count=8 2>/dev/null`);
  }, 180_000);
});
