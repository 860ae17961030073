/** A /dev/shm that is full later is a smaller memory tier, never a crash and never a wrong byte. (As root, in a mount namespace of the test's own.) */
import { expect, test } from "bun:test";
import { sha256, someBytes } from "../support/bytes.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile } from "../support/getfile-client.ts";
import { http } from "../support/http-client.ts";
import { CAN_MOUNT } from "../support/ordinary-user.ts";
import { Webproxy } from "../support/webproxy.ts";

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
