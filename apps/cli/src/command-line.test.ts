import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import packageJson from "../package.json" with { type: "json" };

const MAIN = join(import.meta.dir, "main.ts");

function run(...args: string[]): { exitCode: number; stdout: string; stderr: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, MAIN, ...args], { timeout: 20_000 });
  return { exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}

describe("webproxy", () => {
  test("--version prints the package's version", () => {
    expect(run("--version")).toEqual({ exitCode: 0, stdout: `${packageJson.version}\n`, stderr: "" });
  });

  test("--help names every command and every option", () => {
    const { exitCode, stdout, stderr } = run("--help");
    expect([exitCode, stderr]).toEqual([0, ""]);
    for (const word of [
      "start",
      "proxy",
      "cache",
      "get",
      "stats",
      "doctor",
      "--origin",
      "--threads",
      "--segments",
      "--segment-size",
      "--getfile-port",
      "--getfile-wire",
      "--http-port",
      "--admin-port",
      "--admin-host",
      "--host",
      "--cache-dir",
      "--memory",
      "--disk",
      "--hot",
      "--channel",
      "--config",
      "--log-format",
      "--quiet",
    ]) {
      expect(stdout).toContain(word);
    }
    expect(stdout).not.toContain("--supervised");
    expect(run("start", "--help").stdout).toContain("--origin");
  });

  test("config print --sources shows where the shared tier is, and not its password; the config file has all of it", () => {
    const address = "redis://user:geheim@h:6379";
    const shown = run("config", "print", "--sources", "--shared", address).stdout;
    expect(shown).toContain('shared = "redis://***@h:6379"  # --shared');
    expect(shown).not.toContain("geheim");
    expect(JSON.parse(run("config", "print", "--shared", address).stdout)).toHaveProperty("shared", address);
  });

  const usage: readonly [string[], RegExp][] = [
    [["frobnicate"], /unknown command 'frobnicate'/],
    [["--bogus"], /unknown option '--bogus'/],
    [["--threads"], /argument missing/],
    [["--threads", "0"], /Cannot use "0" for --threads: it must be a whole number of threads from 1 to 64/],
    [["--segment-size", "7"], /Cannot use "7" for --segment-size: it must be at least 4KiB/],
    [["start", "-n", "0"], /for --segments/],
    [["proxy", "--http-port", "99999"], /for --http-port: a port is/],
    [["cache", "--memory", "lots"], /for --memory: a size is/],
    [["cache", "more"], /too many arguments/],
    [["--origin", "ftp://h/"], /its scheme is ftp/],
    [["--channel", "a/b"], /for --channel/],
    [["get"], /missing required argument 'path'/],
    [["get", "--wire", "x", "/a"], /for --getfile-wire: it must be crlf or pr3/],
    [["get", "http://h/a"], /no URL such as getfile:/],
    [["stats", "--threads", "1"], /unknown option '--threads'/],
  ];
  for (const [args, message] of usage) {
    test(`${args.join(" ")} is asked wrongly: exit code 2 and one message`, () => {
      const { exitCode, stdout, stderr } = run(...args);
      expect([exitCode, stdout]).toEqual([2, ""]);
      expect(stderr).toStartWith("webproxy: ");
      expect(stderr).toMatch(message);
    });
  }

  const cannot: readonly [string[], RegExp][] = [
    [
      ["--origin", "/nonexistent/dir"],
      /^webproxy: Cannot serve \/nonexistent\/dir as the origin: ENOENT; make it \(mkdir -p/,
    ],
    [
      ["--config", "/nonexistent/webproxy.config.json"],
      /^webproxy: Cannot read the config file \/nonexistent\/webproxy.config.json: ENOENT/,
    ],
    [
      ["--origin", "/", "--admin-host", "203.0.113.1"],
      /^webproxy: Cannot listen on 203.0.113.1:8081 for the admin API: \w+; give another/,
    ],
    [["stats", "--channel", `test-${process.pid}-none`], /^webproxy: Cannot read the counters of channel/],
    [["get", "--port", "1", "/a"], /^webproxy: Cannot get \/a from 127.0.0.1:1: ECONNREFUSED/],
  ];
  for (const [args, message] of cannot) {
    test(`${args.join(" ")} can not run: exit code 1 and one line`, () => {
      const { exitCode, stdout, stderr } = run(...args);
      expect([exitCode, stdout]).toEqual([1, ""]);
      expect(stderr).toMatch(message);
      expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    });
  }

  test("--config refuses what is no config file, by name", () => {
    const directory = mkdtempSync(join(tmpdir(), "webproxy-config-"));
    try {
      const files: readonly [string, string, number, RegExp][] = [
        ["a.json", "{", 2, /it is no JSON/],
        ["b.json", "[]", 2, /it must hold one object/],
        ["c.json", '{ "thread": 1 }', 2, /Cannot use "thread" in .*c.json: there is no such option/],
        [
          "d.ts",
          "export default { segmentSize: 7 };",
          2,
          /Cannot use 7 for "segmentSize" in .*d.ts: it must be at least 4KiB/,
        ],
        ["e.ts", "export default 3;", 2, /it must hold one object/],
        ["f.ts", 'throw new Error("mine");', 1, /Cannot run the config file .*f.ts: mine/],
        ["g.yaml", "", 2, /must end in .ts, .js, .mjs or .json/],
        ["h.ts", 'export default { origin: "/nonexistent/dir" };', 1, /Cannot serve \/nonexistent\/dir/],
      ];
      for (const [name, text, exitCode, message] of files) {
        writeFileSync(join(directory, name), text);
        const outcome = run("--config", join(directory, name));
        expect({ name, exitCode: outcome.exitCode, stderr: outcome.stderr }).toEqual({
          name,
          exitCode,
          stderr: expect.stringMatching(message),
        });
      }
      // A flag wins over the file.
      expect(run("--config", join(directory, "d.ts"), "-z", "8KiB", "-s", "/nonexistent/dir").stderr).toContain(
        "Cannot serve",
      );
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
