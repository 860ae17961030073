/** The README says only what is true: its commands exist, its options are those of `--help`, its example runs, and the main job does what it promises. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseAddress } from "./support/address.ts";
import { sha256 } from "./support/bytes.ts";
import { getfile } from "./support/getfile-client.ts";
import { field, http } from "./support/http-client.ts";
import { TempDirectory } from "./support/temp-directory.ts";
import { MAIN, Webproxy } from "./support/webproxy.ts";
import { eventually } from "./support/within.ts";

const ROOT = join(import.meta.dir, "..");
const README = readFileSync(join(ROOT, "README.md"), "utf8");
const blocks = [...README.matchAll(/```(\w*)\n([\s\S]*?)```/g)].map(([, language, text]) => ({
  language,
  text: text!,
}));
const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));

describe("README", () => {
  test("begins with the set-up and the main job, then the tests", () => {
    expect(blocks[0]?.text.trim().split("\n")).toEqual([
      `npx --yes ${manifest.packageManager} install`,
      "npx bun run dev",
    ]);
    expect(blocks[1]?.text.trim()).toBe("npx bun run test");
    for (const [, script] of README.matchAll(/npx bun run ([\w:]+)/g)) expect(manifest.scripts).toHaveProperty(script!);
  });

  test("names options and commands that --help has, and files that are there", () => {
    const help = Bun.spawnSync([process.execPath, MAIN, "--help"]).stdout.toString();
    const flags = [...README.matchAll(/(?<![\w-])--[a-z][a-z-]+/g)].map(([flag]) => flag);
    // Of npx, `stats`, `doctor` and `purge`.
    const others = new Set(["--yes", "--json", "--fix", "--help", "--prefix"]);
    const unknown = flags.filter((flag) => !others.has(flag) && !new RegExp(`${flag}\\b`).test(help));
    expect(unknown).toEqual([]);
    for (const [, command] of README.matchAll(/(?:npx webproxy|`webproxy) ([a-z]+)\b(?! ready)/g)) {
      if (command !== "ready") expect(help).toMatch(new RegExp(`^ {2}${command}\\b`, "m"));
    }
    for (const [, path] of README.matchAll(/\]\(([^)]+)\)/g))
      expect({ path, exists: existsSync(join(ROOT, path!)) }).toEqual({ path, exists: true });
  });

  test("has an example that runs", () => {
    const example = blocks.find(({ language }) => language === "ts")!.text;
    // Beside the packages, where `@proj/ipc` is found.
    const path = join(import.meta.dir, `.readme-example-${process.pid}.ts`);
    writeFileSync(path, example);
    try {
      const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, path], { timeout: 20_000 });
      expect({ exitCode, stdout: stdout.toString(), stderr: stderr.toString() }).toEqual({
        exitCode: 0,
        stdout: "hello\n",
        stderr: "",
      });
    } finally {
      unlinkSync(path);
    }
  });
});

test("node_modules/.bin/webproxy runs where Bun came with the install and is not on the search path", () => {
  const { exitCode, stdout, stderr } = Bun.spawnSync([join(ROOT, "node_modules/.bin/webproxy"), "--version"], {
    env: { PATH: "/usr/bin:/bin" },
    timeout: 20_000,
  });
  const { version } = JSON.parse(readFileSync(join(ROOT, "apps/cli/package.json"), "utf8"));
  expect([exitCode, stdout.toString(), stderr.toString()]).toEqual([0, `${version}\n`, ""]);
});

describe("the main job, npx bun run dev", () => {
  let directory: TempDirectory;
  let webproxy: Webproxy;
  beforeAll(async () => {
    directory = new TempDirectory();
    // What the script says, in a directory of the test's own.
    expect(manifest.scripts.dev).toBe("bun run apps/cli/src/main.ts start --origin demo");
    webproxy = await Webproxy.start({ origin: "demo", wrap: ["env", "-C", directory.path] });
  }, 120_000);
  afterAll(async () => {
    await webproxy?.[Symbol.asyncDispose]();
    directory[Symbol.dispose]();
  }, 90_000);

  test("prints three URLs, and each gives its file, the second time from the cache", async () => {
    // They are printed after the ready line.
    const urls = await eventually(10_000, "three URLs on the terminal", () => {
      const printed = webproxy.stdout.match(/\b(http|getfile):\/\/[^\s:]+:\d+\/\S+/g) ?? [];
      return printed.length >= 3 && printed.slice(0, 3);
    });
    for (const url of urls) {
      const { protocol, host, pathname } = new URL(url.replace(/^getfile/, "http"));
      expect(protocol).toBe("http:");
      const file = readFileSync(directory.file(".webproxy/demo", pathname));
      const whole = { length: file.length, sha256: sha256(file), isComplete: true };
      const before = await webproxy.stats();
      for (const _ of ["cold", "warm"]) {
        const get = url.startsWith("getfile") ? getfile : http;
        expect(await get(parseAddress(host), pathname)).toMatchObject(whole);
      }
      const page = await http(webproxy.http, pathname);
      expect(page).toMatchObject({ status: "200", ...whole });
      expect(field(page.head, "cache-status")).toMatch(/^webproxy; hit/);
      expect(await getfile(webproxy.getfile, pathname)).toMatchObject({ status: "OK", ...whole });
      const after = await webproxy.stats();
      expect(after.cache!.counters.originRequests - before.cache!.counters.originRequests).toBe(1);
    }
  }, 120_000);

  test("has a text, a PNG and 64 MiB among its files", () => {
    const demo = (name: string) => directory.file(".webproxy/demo", name);
    expect(statSync(demo("large.bin")).size).toBe(64 * 1024 * 1024);
    expect(readFileSync(demo("image.png")).subarray(0, 8)).toEqual(Buffer.from("\x89PNG\r\n\x1a\n", "latin1"));
    expect(readFileSync(demo("hello.txt"), "utf8")).toContain("webproxy");
  });
});
