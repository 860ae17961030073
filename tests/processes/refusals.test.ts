/** What webproxy can not run with: exit code 1 or 2, one message that says what was tried, why it failed and what to do, and nothing left. */
import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile } from "../support/getfile-client.ts";
import { CAN_MOUNT } from "../support/ordinary-user.ts";
import { TempDirectory } from "../support/temp-directory.ts";
import { type Ended, type StartOptions, Webproxy } from "../support/webproxy.ts";

/** Nobody asks it anything here. */
const ORIGIN = "http://127.0.0.1:9/";

async function expectRefusal(
  options: Omit<StartOptions, "origin"> & { origin?: string },
  exitCode: 1 | 2,
  message: RegExp,
): Promise<void> {
  const ended = await Webproxy.refusal({ origin: ORIGIN, ...options });
  expectOneMessage(ended, exitCode, message);
}

function expectOneMessage(ended: Ended, exitCode: 1 | 2, message: RegExp): void {
  expect({ exitCode: ended.exitCode, stdout: ended.stdout, stderr: ended.stderr }).toEqual({
    exitCode,
    stdout: "",
    stderr: expect.stringMatching(message),
  });
  expect(ended.stderr.trim().split("\n").length).toBeLessThanOrEqual(exitCode === 1 ? 1 : 2);
  expect(ended.stderr).toStartWith("webproxy: Cannot ");
}

describe("asked wrongly: exit code 2", () => {
  const wrong: readonly [string[], RegExp][] = [
    [["--segment-size", "7"], /"7" for --segment-size: it must be at least 4KiB/],
    [["--threads", "0"], /"0" for --threads: .* from 1 to 64/],
    [["--segments", "0"], /"0" for --segments/],
    [["--getfile-wire", "pr4"], /"pr4" for --getfile-wire: it must be crlf or pr3/],
  ];
  for (const [args, message] of wrong) {
    test(args.join(" "), () => expectRefusal({ args }, 2, message), 30_000);
  }
});

describe("can not run: exit code 1", () => {
  for (const option of ["--http-port", "--getfile-port", "--admin-port"]) {
    test(`${option} in use`, async () => {
      using listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
      const args = [option, String(listener.port)];
      await expectRefusal({ args }, 1, new RegExp(`Cannot listen on .*${listener.port}.*${option}`));
    }, 90_000);
  }

  test("a port that another webproxy has, although both listen with reusePort; the other is not disturbed", async () => {
    await using origin = CountingOrigin.start({ "/file": { body: Buffer.from("mine") } });
    await using other = await Webproxy.start({ origin: origin.url });
    for (const [option, { port }] of [
      ["--http-port", other.http],
      ["--getfile-port", other.getfile],
    ] as const) {
      await expectRefusal({ args: [option, String(port)] }, 1, new RegExp(`Cannot listen on .*${port}.*${option}`));
    }
    expect(await getfile(other.getfile, "/file")).toMatchObject({ status: "OK", length: 4, isComplete: true });
  }, 120_000);

  test("a second instance on one channel; the first is not disturbed", async () => {
    await using origin = CountingOrigin.start({ "/file": { body: Buffer.from("mine") } });
    await using first = await Webproxy.start({ origin: origin.url });
    for (const command of ["start", "proxy", "cache"] as const) {
      const second = Webproxy.spawn({ origin: origin.url, command, channel: first.channel });
      try {
        expectOneMessage(await second.ended(), 1, /channel.*--channel/i);
      } finally {
        second.directory[Symbol.dispose]();
      }
    }
    expect(await getfile(first.getfile, "/file")).toMatchObject({ status: "OK", length: 4, isComplete: true });
    expect((await first.stats()).restarts).toEqual({ proxy: 0, cache: 0 });
  }, 120_000);

  test("a missing origin directory", async () => {
    await expectRefusal(
      { origin: "/nonexistent/files" },
      1,
      /Cannot serve \/nonexistent\/files as the origin: ENOENT.*mkdir/,
    );
  }, 90_000);

  test("a cache directory that is a file, or below one", async () => {
    using directory = new TempDirectory();
    writeFileSync(directory.file("file"), "");
    for (const path of [directory.file("file"), directory.file("file", "below")]) {
      await expectRefusal({ args: ["--cache-dir", path] }, 1, /Cannot .*\/file.*(ENOTDIR|EEXIST).*--cache-dir/);
    }
  }, 90_000);

  test("a limit of message queues that is too low", async () => {
    await expectRefusal(
      { wrap: ["prlimit", "--msgqueue=8192"], args: ["--threads", "8"] },
      1,
      /Cannot .*(EMFILE|EAGAIN|ENOMEM|ENOSPC|RLIMIT_MSGQUEUE).*(ulimit -q|RLIMIT_MSGQUEUE|--threads)/,
    );
  }, 90_000);

  test("a limit of open files that is too low, even for its own code", async () => {
    for (const files of [10, 24, 32, 40]) {
      const message = /Cannot .*RLIMIT_NOFILE allows .*raise it.*ulimit -n/;
      await expectRefusal({ wrap: ["prlimit", `--nofile=${files}`] }, 1, message);
    }
  }, 90_000);

  test("more segments than /dev/shm has room for", async () => {
    await expectRefusal(
      { args: ["--segments", "65535", "--segment-size", "1GiB"] },
      1,
      /Cannot make 65535 segments of 1GiB in \/dev\/shm: .*--segments.*--segment-size/,
    );
  }, 90_000);

  for (const size of ["64k", "2m", "17m"]) {
    test.skipIf(!CAN_MOUNT)(
      `a /dev/shm of ${size}, which is too small (skipped unless root may mount: it is in a namespace of its own)`,
      async () => {
        // Only from inside can one see what is left there: its names are printed after the command, and none is expected.
        const script = `mount -t tmpfs -o size=${size} tmpfs /dev/shm; "$@"; code=$?; ls -A /dev/shm; exit $code`;
        await expectRefusal(
          { wrap: ["unshare", "--mount", "sh", "-c", script, "sh"], args: ["--segments", "68"] },
          1,
          /Cannot .*\/dev\/shm.*(--segments|--shm-size|remount)/,
        );
      },
      30_000,
    );
  }
});
