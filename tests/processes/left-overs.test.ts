/** CHECKLIST 53 and 58: what a crash of everything left is removed by the next start or by `doctor --fix`, what lives never is, and what is somebody else's stops the start. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile } from "../support/getfile-client.ts";
import { ipcObjectsOf } from "../support/left-overs.ts";
import { asNobody, IS_ROOT } from "../support/ordinary-user.ts";
import { copyBun, installInto, pack } from "../support/packed.ts";
import { TempDirectory } from "../support/temp-directory.ts";
import { MAIN, ownChannel, Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

const BODY = Buffer.from("here");
const whole = { status: "OK", length: BODY.length, isComplete: true };

function withFile(): CountingOrigin {
  return CountingOrigin.start({ "/file": { body: BODY, headers: { "Cache-Control": "max-age=600" } } });
}

/** Starts a webproxy on the channel and kills all of it at one moment, so that nobody can clean up. */
async function crash(origin: CountingOrigin, channel: string): Promise<void> {
  const webproxy = await Webproxy.start({ origin: origin.url, channel });
  const { proxy, cache } = await webproxy.stats();
  const children = [proxy!.pid, cache!.pid];
  for (const pid of children) process.kill(pid, "SIGSTOP");
  webproxy.kill("SIGKILL");
  for (const pid of children) process.kill(pid, "SIGKILL");
  await webproxy.ended();
  await eventually(20_000, "both children are dead", () => children.every((pid) => !isRunning(pid)));
  webproxy.directory[Symbol.dispose]();
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function doctor(...args: string[]): { exitCode: number; text: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, MAIN, "doctor", ...args], { timeout: 30_000 });
  return { exitCode, text: stdout.toString() + stderr.toString() };
}

describe("53 a crash of supervisor, proxy and cache at one moment", () => {
  test("53 leaves objects, and the next start on the channel removes them and serves", async () => {
    await using origin = withFile();
    const channel = ownChannel();
    await crash(origin, channel);
    expect(ipcObjectsOf(channel).length).toBeGreaterThan(60);
    await using webproxy = await Webproxy.start({
      origin: origin.url,
      channel,
      args: ["--threads", "1", "--segments", "4"],
    });
    expect(await getfile(webproxy.getfile, "/file")).toMatchObject(whole);
    expect((await webproxy.stop()).exitCode).toBe(0);
    expect(ipcObjectsOf(channel)).toEqual([]);
  }, 120_000);

  test("53 doctor --fix removes what is dead, and not what lives", async () => {
    await using origin = withFile();
    await using living = await Webproxy.start({ origin: origin.url });
    const channel = ownChannel();
    await crash(origin, channel);
    const before = ipcObjectsOf(living.channel);
    expect(doctor("--channel", channel).text).toContain(channel);
    expect(ipcObjectsOf(channel).length).toBeGreaterThan(60);
    doctor("--fix", "--channel", channel);
    expect(ipcObjectsOf(channel)).toEqual([]);
    doctor("--fix", "--channel", living.channel);
    expect(ipcObjectsOf(living.channel)).toEqual(before);
    expect(await getfile(living.getfile, "/file")).toMatchObject(whole);
  }, 120_000);
});

describe("a symbolic link that has the name of an object", () => {
  for (const name of ["proxy", "cache", "access", "pool.pool", "bell.proxy.0", "pool.seg.0.1"]) {
    test(`${name}: is removed, and what it leads to is left as it was`, async () => {
      await using origin = withFile();
      using link = new Link(name);
      await using webproxy = await Webproxy.start({ origin: origin.url, channel: link.channel });
      expect(await getfile(webproxy.getfile, "/file")).toMatchObject(whole);
      expect((await webproxy.stop()).exitCode).toBe(0);
      expect(link.content).toBe("nobody's business");
    }, 120_000);
  }

  for (const name of ["proxy.lock", "cache.lock"]) {
    test(`${name}: is refused with what to do, and what it leads to is left as it was`, async () => {
      await using origin = withFile();
      using link = new Link(name);
      const webproxy = Webproxy.spawn({ origin: origin.url, channel: link.channel });
      const { exitCode, stderr } = await webproxy.ended();
      expect({ exitCode, stderr }).toMatchObject({ exitCode: 1 });
      expect(stderr).toContain(`${link.channel}.${name}": ELOOP; a symbolic link has that name`);
      expect(link.content).toBe("nobody's business");
      expect(lstatSync(link.path).isSymbolicLink()).toBe(true);
      expect(ipcObjectsOf(link.channel)).toEqual([link.path]);
      webproxy.directory[Symbol.dispose]();
    }, 120_000);
  }
});

/** In the place of an object of a channel of its own; it leads to a file that holds something. */
class Link implements Disposable {
  readonly channel = ownChannel();
  readonly path: string;
  readonly #directory = new TempDirectory();

  constructor(name: string) {
    this.path = `/dev/shm/webproxy.${this.channel}.${name}`;
    writeFileSync(this.#directory.file("target"), "nobody's business");
    symlinkSync(this.#directory.file("target"), this.path);
  }

  get content(): string {
    return readFileSync(this.#directory.file("target"), "utf8");
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { force: true });
    this.#directory[Symbol.dispose]();
  }
}

describe.skipIf(!IS_ROOT)(
  "58 a name that another user made first (skipped unless root: only root may become nobody)",
  () => {
    let directory: TempDirectory;
    let program: string[];
    beforeAll(() => {
      directory = new TempDirectory({ mode: 0o755 });
      const project = installInto(directory, [pack("apps/cli", directory)]);
      mkdirSync(directory.file("origin"));
      writeFileSync(directory.file("origin", "file"), BODY);
      program = [...asNobody(directory), copyBun(directory), join(project, "node_modules/webproxy/dist/main.js")];
    }, 120_000);
    afterAll(() => directory[Symbol.dispose]());

    for (const [name, mode] of [
      ["proxy", 0o600],
      ["cache", 0o666],
      ["proxy.lock", 0o666],
      ["pool.pool", 0o666],
      ["pool.seg.3.1", 0o666],
      ["bell.cache.0", 0o666],
    ] as const) {
      test(`58 ${name}, mode ${mode.toString(8)}: refused, exit code 1, and the other's object is left as it was`, async () => {
        const channel = ownChannel();
        const path = `/dev/shm/webproxy.${channel}.${name}`;
        closeSync(openSync(path, "wx"));
        chmodSync(path, mode); // whatever the umask
        const { ino } = statSync(path);
        try {
          const webproxy = Webproxy.spawn({ origin: directory.file("origin"), program, channel });
          try {
            const { exitCode, stdout, stderr } = await webproxy.ended();
            expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
            expect(stderr).toStartWith("webproxy: Cannot ");
            expect(stderr).toContain(`webproxy.${channel}.${name.split(".")[0]}`);
            expect(stderr.trim().split("\n")).toHaveLength(1);
          } finally {
            webproxy.kill("SIGKILL");
            webproxy.directory[Symbol.dispose]();
          }
          const left = statSync(path);
          expect({ ino: left.ino, size: left.size }).toEqual({ ino, size: 0 });
          expect(ipcObjectsOf(channel)).toEqual([path]);
        } finally {
          unlinkSync(path);
        }
      }, 120_000);
    }
  },
);
