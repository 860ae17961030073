/** A /dev/shm that is full later is a smaller memory tier, never a crash and never a wrong byte. (As root, in a mount namespace of the test's own.) */
import { expect, test } from "bun:test";
import { closeSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";
import { objectsIn, openArena } from "../chaos/namespace.ts";
import { sha256, someBytes } from "../support/bytes.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { faultyThreads } from "../support/faulty-threads.ts";
import { getfile } from "../support/getfile-client.ts";
import { http } from "../support/http-client.ts";
import { CAN_MOUNT } from "../support/ordinary-user.ts";
import { TempDirectory } from "../support/temp-directory.ts";
import { ownChannel, type Stats, Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

const MIB = 1024 * 1024;
/** Three times what is there, several of them larger than what is left beside the pool. */
const SIZES = [64 * MIB, 20 * MIB, 20 * MIB, ...Array.from({ length: 30 }, () => 1 * MIB)];

/** Everything the proxy and the cache share is in a /dev/shm of this size; the pool takes a MiB of it. */
const inSmallSharedMemory = [
  "unshare",
  "--mount",
  "sh",
  "-c",
  'mount -t tmpfs -o size=24m tmpfs /dev/shm; exec "$@"',
  "sh",
];

for (const [name, args] of [
  ["with a disk tier", []],
  ["with memory only", ["--cache-dir", "none"]],
] as const) {
  test.skipIf(!CAN_MOUNT)(
    `55 a /dev/shm of 24 MiB, ${name}: 134 MiB of files are served unchanged (skipped unless root may mount)`,
    async () => {
      await using origin = CountingOrigin.start();
      const files = SIZES.map((length, file) => {
        const body = someBytes(length, file);
        origin.set(`/${file}`, { body, headers: { "Cache-Control": "max-age=600" } });
        return { path: `/${file}`, whole: { length, sha256: sha256(body), isComplete: true } };
      });
      await using webproxy = await Webproxy.start({
        origin: origin.url,
        wrap: inSmallSharedMemory,
        args: ["--segments", "16", "--segment-size", "64KiB", ...args],
      });
      for (let round = 0; round < 2; round++) {
        for (const { path, whole } of files) {
          const both = await Promise.all([getfile(webproxy.getfile, path), http(webproxy.http, path)]);
          for (const got of both) expect(got).toMatchObject(whole);
        }
      }
      await webproxy.segmentsReturned();
      expect((await webproxy.stats()).restarts).toEqual({ proxy: 0, cache: 0 });
      expect((await webproxy.stop()).exitCode).toBe(0);
    },
    90_000,
  );
}

type Side = "proxy" | "cache";
const SEGMENTS = 16;

test.skipIf(!CAN_MOUNT)(
  "55 whichever process dies, in whichever way, while somebody takes every byte of /dev/shm that becomes free: another serves in its place (skipped unless root may mount)",
  async () => {
    const body = someBytes(300_000, 55);
    const whole = { length: body.length, sha256: sha256(body), isComplete: true };
    using faults = new TempDirectory();
    const { env, arm } = faultyThreads(faults);
    const paths = ["/file", "/proxy/throws", "/cache/throws"];
    await using origin = CountingOrigin.start(
      Object.fromEntries(paths.map((path) => [path, { body, headers: { "Cache-Control": "max-age=600" } }])),
    );
    const channel = ownChannel();
    await using arena = await openArena(faults.file("disk"), { sharedMemory: "24m", disk: "1m" });
    const args = ["--segments", String(SEGMENTS), "--segment-size", "64KiB", "--cache-dir", "none"];
    await using webproxy = await Webproxy.start({ origin: origin.url, channel, wrap: arena.wrap, args, env });
    const expectServed = async () => {
      for (const got of await Promise.all([getfile(webproxy.getfile, "/file"), http(webproxy.http, "/file")]))
        expect(got).toMatchObject(whole);
    };
    /** @returns Those that serve then. */
    const replaced = (former: Stats, ...sides: Side[]) =>
      eventually(30_000, `${sides} replaced; webproxy said ${webproxy.stderr}`, async () => {
        const now = await webproxy.stats();
        const isAnother = (side: Side) => now[side]?.state === "serving" && now[side].pid !== former[side]!.pid;
        return sides.every(isAnother) && now;
      });
    await expectServed();
    {
      using greedy = new Greedy(arena.sharedMemory);
      let serving = await webproxy.stats();
      for (const sides of [["proxy"], ["cache"], ["proxy", "cache"], ["proxy"]] as const) {
        for (const side of sides) process.kill(serving[side]!.pid, "SIGKILL");
        serving = await replaced(serving, ...sides);
        await expectServed();
      }
      for (const side of ["proxy", "cache"] as const) {
        const path = `/${side}/throws`;
        arm(path, "once");
        await http(webproxy.http, path).catch(() => {}); // it ends with the thread, or not
        serving = await replaced(serving, side);
        await expectServed();
      }
      expect(greedy.isFull).toBe(true);
    }
    await webproxy.says("/dev/shm is full: the proxy goes on with what the one before it has left");
    // What there was no memory for is made when there is some.
    const segments = () => objectsIn(arena, channel).filter((name) => name.includes(".pool.seg.")).length;
    await eventually(
      10_000,
      () => `all segments are there; ${segments()} are`,
      () => segments() === SEGMENTS,
    );
    await webproxy.segmentsReturned();
    await expectServed();
    expect((await webproxy.stats()).restarts).toEqual({ proxy: 4, cache: 3 });
    expect((await webproxy.stop()).exitCode).toBe(0);
    expect(objectsIn(arena, channel)).toEqual([]);
  },
  120_000,
);

/** Somebody who fills a file system, and takes each byte that becomes free of it for as long as this lives. */
class Greedy implements Disposable {
  readonly #directory: string;
  readonly #path: string;
  readonly #file: number;
  readonly #timer = setInterval(() => this.#take(), 2);
  readonly #piece = Buffer.alloc(64 * 1024, 1);

  constructor(directory: string) {
    this.#directory = directory;
    this.#path = join(directory, "greedy");
    this.#file = openSync(this.#path, "a");
    this.#take();
  }

  get isFull(): boolean {
    return statfsSync(this.#directory).bavail === 0;
  }

  #take(): void {
    try {
      while (!this.isFull) writeSync(this.#file, this.#piece);
    } catch {
      // Full before we knew.
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    closeSync(this.#file);
    rmSync(this.#path);
  }
}
