/** `bun pm pack` gives packages that work in an empty project without this repository; and an ordinary user runs them. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sha256, someBytes } from "../support/bytes.ts";
import { getfile } from "../support/getfile-client.ts";
import { http } from "../support/http-client.ts";
import { asNobody, IS_ROOT } from "../support/ordinary-user.ts";
import { copyBun, installInto, pack, pathWithBun, run } from "../support/packed.ts";
import { TempDirectory } from "../support/temp-directory.ts";
import { ownChannel, Webproxy } from "../support/webproxy.ts";

const SIZES = [0, 1, 1024, 64 * 1024, 1024 * 1024 + 1, 64 * 1024 * 1024];

let directory: TempDirectory;
let project: string;
let searchPath: { PATH: string };
let files: { path: string; sha256: string; length: number }[];
beforeAll(() => {
  directory = new TempDirectory({ mode: 0o755 });
  project = installInto(directory, [pack("packages/ipc", directory), pack("apps/cli", directory)]);
  searchPath = pathWithBun(directory);
  mkdirSync(directory.file("origin"));
  files = SIZES.map((length) => {
    const body = someBytes(length, length + 3);
    writeFileSync(directory.file("origin", `file-${length}`), body);
    return { path: `/file-${length}`, sha256: sha256(body), length };
  });
}, 120_000);
afterAll(() => directory[Symbol.dispose]());

/** Every file, cold and warm, through GETFILE and HTTP. */
async function expectAllFiles(webproxy: Webproxy): Promise<void> {
  for (const { path, ...whole } of files) {
    for (const _ of ["cold", "warm"]) {
      expect(await getfile(webproxy.getfile, path)).toMatchObject({ status: "OK", isComplete: true, ...whole });
      expect(await http(webproxy.http, path)).toMatchObject({ status: "200", isComplete: true, ...whole });
    }
  }
}

describe("packed webproxy", () => {
  test("holds everything it needs, and nothing of this repository", () => {
    const installed = join(project, "node_modules/webproxy");
    expect(existsSync(join(installed, "src/main.ts"))).toBe(false);
    const manifest = require(join(installed, "package.json"));
    expect(manifest.dependencies ?? {}).toEqual({});
    expect(readdirSync(join(installed, "dist"))).toEqual(
      expect.arrayContaining(["main.js", "shard-thread.js", "proxy-thread.js"]),
    );
    expect(
      readdirSync(join(project, "node_modules"))
        .filter((name) => !name.startsWith("."))
        .sort(),
    ).toEqual(["@proj", "webproxy"]);
  });

  test("bunx webproxy --threads 8 --segments 16 --origin DIR", async () => {
    await using webproxy = await Webproxy.start({
      origin: directory.file("origin"),
      program: ["env", "-C", project, process.execPath, "x", "--no-install", "webproxy"],
      args: ["--threads", "8", "--segments", "16"],
      env: searchPath,
    });
    await expectAllFiles(webproxy);
    expect((await webproxy.stats()).proxy).toMatchObject({ threads: 8, segments: 16 });
    const processes = run(["ps", "-eo", "args"], project)
      .split("\n")
      .filter((line) => line.includes(webproxy.channel));
    expect(processes.some((line) => / cache /.test(line))).toBe(true);
    expect(processes.some((line) => / proxy /.test(line))).toBe(true);
    expect((await webproxy.stop()).exitCode).toBe(0);
  }, 120_000);

  test.skipIf(!IS_ROOT)(
    "as an ordinary user (skipped unless root: only root may become nobody)",
    async () => {
      const bun = copyBun(directory);
      const program = [...asNobody(directory), bun, join(project, "node_modules/webproxy/dist/main.js")];
      await using webproxy = await Webproxy.start({
        origin: directory.file("origin"),
        program,
        args: ["--threads", "8", "--segments", "1024", "--segment-size", "16KiB"],
      });
      const owner = run(["ps", "-o", "user=", "-p", String(webproxy.pid)], project).trim();
      expect(owner).toBe("nobody");
      await expectAllFiles(webproxy);
      expect((await webproxy.stop()).exitCode).toBe(0);
    },
    60_000,
  );

  test.skipIf(!IS_ROOT)(
    "as an ordinary user with a cache directory that it may not write: exit code 1, one message, nothing left",
    async () => {
      const closed = directory.file("closed");
      mkdirSync(closed);
      chmodSync(closed, 0o755);
      const bun = copyBun(directory);
      const { exitCode, stdout, stderr } = await Webproxy.refusal({
        origin: directory.file("origin"),
        program: [...asNobody(directory), bun, join(project, "node_modules/webproxy/dist/main.js")],
        args: ["--cache-dir", closed],
      });
      expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
      expect(stderr).toMatch(/^webproxy: Cannot .*closed.*EACCES.*--cache-dir/);
      expect(stderr.trim().split("\n")).toHaveLength(1);
    },
    60_000,
  );
});

describe("packed @proj/ipc", () => {
  test("runs in an empty project and has no dependencies", () => {
    const name = `/${ownChannel()}`;
    writeFileSync(
      join(project, "use-ipc.ts"),
      `import { MessageQueue, SharedMemory, objectName } from "@proj/ipc";
const name = objectName(${JSON.stringify(name)});
const queue = MessageQueue.create(name, { maxmsg: 4, msgsize: 64 });
const memory = SharedMemory.create(name, 4096);
try {
  queue.trySend(new TextEncoder().encode("through the kernel"));
  const into = new Uint8Array(new ArrayBuffer(64));
  const bytes = queue.tryReceive(into);
  new Uint8Array(memory.buffer).set(into.subarray(0, bytes));
  using other = SharedMemory.open(name);
  console.log(new TextDecoder().decode(new Uint8Array(other.buffer).slice(0, bytes)));
} finally {
  queue.unlink();
  queue.close();
  memory.unlink();
  memory.close();
}
`,
    );
    expect(run([process.execPath, "use-ipc.ts"], project)).toBe("through the kernel\n");
    expect(require(join(project, "node_modules/@proj/ipc/package.json")).dependencies ?? {}).toEqual({});
    expect(run([process.execPath, "x", "--no-install", "ipc", "--help"], project, searchPath)).toContain("doctor");
  }, 120_000);
});
