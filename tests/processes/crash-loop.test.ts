/** A process that can not be kept running, because it dies or hangs at each start, ends in words and exit code 1, and not in one start after another. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { IS_WHOLE } from "../support/scale.ts";
import { TempDirectory } from "../support/temp-directory.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

/** Each process of this side that its supervisor starts is stopped as soon as it is seen, until there is no supervisor. */
async function stopEach(supervisor: number, side: string): Promise<void> {
  for (;;) {
    try {
      const path = `/proc/${supervisor}/task/${supervisor}/children`;
      for (const child of readFileSync(path, "latin1").split(" ").filter(Boolean).map(Number))
        if (readFileSync(`/proc/${child}/cmdline`, "latin1").includes(`\0${side}\0`)) process.kill(child, "SIGSTOP");
    } catch {
      if (!isThere(supervisor)) return; // otherwise it was a child that had gone
    }
    await Bun.sleep(5);
  }
}

function isThere(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return false;
  }
}

test("a proxy that is stopped at each start", async () => {
  await using webproxy = Webproxy.spawn({ origin: "demo" });
  const stopping = stopEach(webproxy.pid, "proxy");
  const { exitCode, stderr, stdout } = await webproxy.ended();
  await stopping;
  expect([exitCode, stdout]).toEqual([1, ""]);
  expect(stderr).toContain(
    "Cannot keep the proxy process running: it was ended by SIGKILL, 5 times in a row without having served: it is stopped (SIGSTOP)",
  );
}, 120_000);

// Each start is given fifteen seconds.
test.skipIf(!IS_WHOLE)(
  "a cache that computes without end at each start",
  async () => {
    using directory = new TempDirectory({ mode: 0o777 });
    const preload = directory.file("hang.ts");
    await Bun.write(preload, `if (process.argv.includes("cache")) for (;;);`);
    await using webproxy = Webproxy.spawn({ origin: "demo", env: { BUN_OPTIONS: `--preload=${preload}` } });
    await eventually(200_000, "it gives up", () => !isThere(webproxy.pid));
    const { exitCode, stderr } = await webproxy.ended();
    expect([exitCode, stderr]).toEqual([
      1,
      expect.stringContaining("times in a row without having served: it has not begun to start its threads for 15 s"),
    ]);
  },
  300_000,
);
