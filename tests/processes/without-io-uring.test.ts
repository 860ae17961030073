/** Where the kernel does not allow io_uring, as in most containers, every socket makes its own system calls, and all else is the same. */
import { describe, expect, test } from "bun:test";
import { readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { sha256, someBytes } from "../support/bytes.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile } from "../support/getfile-client.ts";
import { http } from "../support/http-client.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

const WITHOUT = ["python3", join(import.meta.dir, "../support/without-io-uring.py")];
const SOCKETS = join(import.meta.dir, "../../packages/ipc/src/sockets");
const CLIENTS = 50;
const BODY = someBytes(150_000, 3);
const whole = { length: BODY.length, sha256: sha256(BODY), isComplete: true };

/** How many of its threads have calls made for them. */
function ringsOf(pid: number): number {
  const fildes = readdirSync(`/proc/${pid}/fd`);
  return fildes.filter((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === "anon_inode:[io_uring]").length;
}

/** Whether the kernel allows it here. */
const PROBE =
  "import ctypes; raise SystemExit(ctypes.CDLL(None).syscall(425, 1, ctypes.create_string_buffer(120)) < 0)";
const isAllowed = Bun.spawnSync(["python3", "-c", PROBE]).exitCode === 0;

describe.each([
  ["a webproxy as it is started", [], isAllowed ? 2 : 0],
  ["a webproxy that has none", WITHOUT, 0],
] as const)("%s", (_, wrap, rings) => {
  test("serves right bytes to many at once, kept and passed on, through HTTP and GETFILE", async () => {
    await using origin = CountingOrigin.start();
    origin.set("/kept", { body: BODY, headers: { "Cache-Control": "max-age=600" } });
    origin.set("/passed", { body: BODY, headers: { "Cache-Control": "no-store" } });
    await using webproxy = await Webproxy.start({ origin: origin.url, args: ["--threads", "2"], wrap });
    const served = Array.from({ length: CLIENTS }, (_, client) => {
      const path = client % 4 < 2 ? "/kept" : "/passed";
      return client % 2 === 0 ? http(webproxy.http, path) : getfile(webproxy.getfile, path);
    });
    for (const got of await Promise.all(served)) expect(got).toMatchObject(whole);
    const { pid } = (await webproxy.stats()).proxy!;
    await eventually(10_000, `${rings} rings`, () => ringsOf(pid) === rings);
  }, 60_000);
});

test("the tests of sockets pass without it", async () => {
  const child = Bun.spawn(
    [...WITHOUT, process.execPath, "test", "--timeout", "60000", "./stream-socket.test.ts", "./socket-calls.test.ts"],
    {
      cwd: SOCKETS,
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  const said = await new Response(child.stderr).text();
  expect({ exitCode: await child.exited, said }).toEqual({ exitCode: 0, said: expect.stringMatching(/\n 0 fail\n/) });
}, 120_000);
