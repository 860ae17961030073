/** `webproxy top` in a real terminal (tmux): it lives, is resized, and quits on q; without one it is lines. */
import { describe, expect, test } from "bun:test";
import { CountingOrigin } from "../support/counting-origin.ts";
import { Terminal } from "../support/terminal.ts";
import { MAIN, Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";
import { furnish, Traffic } from "./traffic.ts";

const PATIENCE_MS = 30_000;

describe.skipIf(Bun.which("tmux") === null)("webproxy top", () => {
  test("lives in a terminal, follows its size and its keys, and leaves it as it was", async () => {
    await using origin = CountingOrigin.start();
    furnish(origin);
    await using webproxy = await Webproxy.start({ origin: origin.url });
    await using _traffic = new Traffic(webproxy, 200);
    using terminal = new Terminal({ columns: 110, rows: 40 }, [
      process.execPath,
      MAIN,
      "top",
      "--channel",
      webproxy.channel,
    ]);
    const shows = (what: string, pattern: RegExp) =>
      eventually(PATIENCE_MS, what, () => pattern.test(terminal.screen.join("\n")));
    await shows("rates", /requests [1-9][\d,.]*\/s {3}hit ratio \d/);
    await shows("the pool", /segments \d+ of 64 in use, 256KiB each/);
    await shows("URLs", /top URLs by requests[\s\S]*\/images\/product-0\.jpg/);
    await shows("requests", /recent requests[\s\S]*\d\d:\d\d:\d\d 200 h[oi]t/);
    const rates = new Set<string>();
    await eventually(PATIENCE_MS, "figures that change", () => {
      rates.add(/requests (\S+)/.exec(terminal.screen.join("\n"))?.[1] ?? "");
      return rates.size >= 3;
    });
    terminal.type("m");
    await shows("the other ranking", /top URLs by misses/);
    terminal.resize(60, 15);
    await shows("a smaller screen", /^webproxy test-.*…$/m);
    await eventually(PATIENCE_MS, "the foot at the bottom", () =>
      /^q quit/.test(terminal.screen.slice(0, 15).at(-1) ?? ""),
    );
    expect(Math.max(...terminal.screen.map((line) => line.length))).toBeLessThanOrEqual(60);
    terminal.resize(150, 50);
    await shows("a larger screen", /recent requests/);
    terminal.type("q");
    await shows("the end", /exit code 0/);
    expect(terminal.screen.join("\n")).not.toContain("requests");
  }, 120_000);

  test("ends on Ctrl-C, and on its own", async () => {
    await using origin = CountingOrigin.start();
    await using webproxy = await Webproxy.start({ origin: origin.url });
    const command = [process.execPath, MAIN, "top", "--channel", webproxy.channel];
    using terminal = new Terminal({ columns: 80, rows: 24 }, command);
    await eventually(PATIENCE_MS, "the screen", () => terminal.screen.join("\n").includes("webproxy test-"));
    terminal.type("C-c");
    await eventually(PATIENCE_MS, "the end", () => terminal.screen.join("\n").includes("exit code 0"));
    const piped = Bun.spawnSync([...command, "--count", "2"], { timeout: PATIENCE_MS });
    const lines = piped.stdout.toString().split("\n");
    expect([piped.exitCode, lines.length, piped.stderr.toString()]).toEqual([0, 4, ""]);
    expect(lines[0]).toMatch(/^ {4}time requests\/s/);
    for (const line of lines.slice(1, 3)) expect(line).toMatch(/^\d\d:\d\d:\d\d +\S/);
    expect(piped.stdout.toString()).not.toContain("\x1b");
  }, 90_000);
});

test("webproxy top refuses a channel that nobody runs", () => {
  const { exitCode, stderr } = Bun.spawnSync([process.execPath, MAIN, "top", "--channel", `test-${process.pid}-none`], {
    timeout: PATIENCE_MS,
  });
  expect(exitCode).toBe(1);
  expect(stderr.toString()).toContain("no process of it runs");
});
