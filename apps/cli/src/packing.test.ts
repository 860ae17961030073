import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { objectsOf, ownChannel, withoutRootWarning } from "./test-process.ts";

const PACKAGE = join(import.meta.dir, "..");

function run(cwd: string, ...args: string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, ...args], { cwd, timeout: 60_000 });
  if (exitCode !== 0) throw new Error(`bun ${args.join(" ")} ended with ${exitCode}: ${stdout}${stderr}`);
  return stdout.toString();
}

test("the packed package works in an empty project, without this repository", async () => {
  const root = mkdtempSync(join(tmpdir(), "webproxy-packed-"));
  try {
    run(PACKAGE, "pm", "pack", "--quiet", "--destination", root);
    const tarball = readdirSync(root).find((file) => file.endsWith(".tgz"))!;
    const project = join(root, "project");
    mkdirSync(join(project, "files"), { recursive: true });
    writeFileSync(join(project, "files", "a.txt"), "packed\n");
    writeFileSync(
      join(project, "package.json"),
      JSON.stringify({ name: "empty", dependencies: { webproxy: `file:../${tarball}` } }),
    );
    // What it needs is inside: nothing is fetched.
    run(project, "install", "--registry", "http://127.0.0.1:1/");
    expect(readdirSync(join(project, "node_modules")).filter((name) => !name.startsWith("."))).toEqual(["webproxy"]);
    writeFileSync(
      join(project, "typed.ts"),
      'import { defineConfig } from "webproxy";\nexport default defineConfig({ origin: "./files", threads: 8 });\n',
    );

    // Also for a program of the project's own, where nobody provides the module.
    expect(run(project, "-e", 'import config from "./typed.ts"; console.log(config.threads)')).toBe("8\n");

    const channel = ownChannel();
    const ports = ["--http-port", "0", "--getfile-port", "0", "--admin-port", "0"];
    const args = ["--config", "typed.ts", "--segments", "16", "--channel", channel, "-c", "none", ...ports];
    const child = Bun.spawn([join(project, "node_modules", ".bin", "webproxy"), ...args], {
      cwd: project,
      env: { ...process.env, PATH: `${pathWithBun(root)}:${process.env["PATH"]}` },
      stdout: "pipe",
      stderr: "pipe",
    });
    const stderr = new Response(child.stderr).text();
    const { value } = await child.stdout.getReader().read();
    const readyLine = new TextDecoder().decode(value);
    const http = /http=(\S+)/.exec(readyLine)?.[1] ?? `none, since: ${await stderr}`;
    try {
      expect(await (await fetch(`http://${http}/a.txt`)).text()).toBe("packed\n");
      expect((await fetch(`http://${/admin=(\S+)/.exec(readyLine)?.[1]}/metrics`)).status).toBe(200);
    } finally {
      child.kill("SIGTERM");
      await child.exited;
    }
    expect([child.exitCode, withoutRootWarning(await stderr)]).toEqual([0, ""]);
    expect(objectsOf(channel)).toEqual([]);
  } finally {
    rmSync(root, { recursive: true });
  }
}, 120_000);

/** A folder in which this Bun is called `bun`, for the command's first line. */
function pathWithBun(root: string): string {
  const folder = join(root, "bin");
  mkdirSync(folder);
  Bun.spawnSync(["ln", "-s", process.execPath, join(folder, "bun")]);
  return folder;
}
