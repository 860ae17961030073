/** Who webproxy runs as: `--user` gives up root before anything is made, root without it is told so, and whatever there is belongs to nobody else. */
import { describe, expect, test } from "bun:test";
import { chmodSync, lstatSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { getfile } from "../support/getfile-client.ts";
import { http } from "../support/http-client.ts";
import { IS_ROOT } from "../support/ordinary-user.ts";
import { TempDirectory } from "../support/temp-directory.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

const CONTENT = "a page for everybody";

function pages(): TempDirectory {
  const directory = new TempDirectory({ mode: 0o755 });
  writeFileSync(directory.file("a.txt"), CONTENT);
  chmodSync(directory.file("a.txt"), 0o644);
  return directory;
}

/** Everything below a directory. */
function* below(directory: string): Generator<string> {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    yield path;
    if (entry.isDirectory()) yield* below(path);
  }
}

function ownerOf(pid: number): string {
  return /^Uid:\s+(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))![1]!;
}

test("objects and stored files are their owner's alone, whatever the umask, and none is a symbolic link", async () => {
  using directory = pages();
  await using webproxy = await Webproxy.start({
    origin: directory.path,
    wrap: ["sh", "-c", 'umask 0; exec "$@"', "sh"],
  });
  for (let times = 0; times < 2; times++) expect((await http(webproxy.http, "/a.txt")).status).toBe("200");
  const objects = readdirSync("/dev/shm").filter((name) => name.startsWith(`webproxy.${webproxy.channel}.`));
  const stored = [...below(webproxy.directory.file("cache"))];
  expect(objects.length).toBeGreaterThan(60);
  expect(stored.length).toBeGreaterThan(1);
  const others = [...objects.map((name) => `/dev/shm/${name}`), webproxy.directory.file("cache"), ...stored].filter(
    (path) => {
      const status = lstatSync(path);
      return status.isSymbolicLink() || (status.mode & 0o077) !== 0;
    },
  );
  expect(others).toEqual([]);
});

describe.skipIf(!IS_ROOT)("as root", () => {
  test("without --user: a warning that says what to do", async () => {
    using directory = pages();
    await using webproxy = await Webproxy.start({ origin: directory.path });
    const warning = "running as root: whoever gets the better of it has the machine; give --user NAME";
    await eventually(20_000, "the warning", () => webproxy.stderr.includes(warning));
  });

  test("--user nobody: all processes and all that they make are that user's, for good", async () => {
    using directory = pages();
    await using webproxy = await Webproxy.start({ origin: directory.path, args: ["--user", "nobody"] });
    expect((await http(webproxy.http, "/a.txt")).status).toBe("200");
    expect((await getfile(webproxy.getfile, "/a.txt")).status).toBe("OK");
    const { proxy, cache } = await webproxy.stats();
    const uid = statSync(`/dev/shm/webproxy.${webproxy.channel}.cache`).uid;
    expect(uid).not.toBe(0);
    for (const pid of [webproxy.pid, proxy!.pid, cache!.pid])
      expect(ownerOf(pid)).toBe([uid, uid, uid, uid].join("\t"));
    expect([...below(webproxy.directory.file("cache"))].filter((path) => lstatSync(path).uid !== uid)).toEqual([]);
    expect(webproxy.stderr).not.toContain("running as root");
    // What dies is started again by a supervisor that has no more rights than it had.
    process.kill(proxy!.pid, "SIGKILL");
    await webproxy.recovered(proxy!.pid);
    expect((await http(webproxy.http, "/a.txt")).status).toBe("200");
    expect((await webproxy.stop()).exitCode).toBe(0);
  }, 60_000);

  test("--user of nobody that there is: refused", async () => {
    const { exitCode, stderr } = await Webproxy.refusal({ origin: "demo", args: ["--user", "no-such-user"] });
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 1 });
    expect(stderr).toContain("Cannot run as no-such-user: /etc/passwd has no such user");
  });
});
