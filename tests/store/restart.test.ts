/** What a store is for: a process that ends, however it ends, and the next one, which answers with what is on disk and with nothing that is wrong. */
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sha256 } from "../support/bytes.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { http } from "../support/http-client.ts";
import { TempDirectory } from "../support/temp-directory.ts";
import { MAIN, Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

const SIZES = [0, 1, 3000, 70_000, 900_000, 5_000_000];

function bodyOf(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 7 + length + (index >> 10)) % 253);
}

function originWith(sizes: readonly number[]): CountingOrigin {
  const origin = CountingOrigin.start();
  for (const length of sizes) {
    origin.set(`/${length}`, {
      body: bodyOf(length),
      headers: { "Cache-Control": "max-age=3600", ETag: `"${length}"` },
    });
  }
  return origin;
}

async function fetchAll(webproxy: Webproxy, sizes: readonly number[]): Promise<void> {
  for (const length of sizes) {
    const got = await http(webproxy.http, `/${length}`);
    expect({ ...got }).toMatchObject({
      status: "200",
      bytes: length,
      isComplete: true,
      sha256: sha256(bodyOf(length)),
    });
  }
}

/** Files of stored responses in a store's directory. */
function storedFiles(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((name) => /^[0-9a-f]{2}\/./.test(name))
    .map((name) => join(directory, name));
}

async function untilOnDisk(directory: string, count: number): Promise<void> {
  await eventually(20_000, `${count} responses on disk`, () => storedFiles(directory).length === count);
}

describe("a store", () => {
  test("answers in the next life, after SIGTERM at once, with any number of threads", async () => {
    using directory = new TempDirectory();
    await using origin = originWith(SIZES);
    for (const threads of ["2", "3", "1"]) {
      const args = ["--cache-dir", directory.file("store"), "--threads", threads];
      await using webproxy = await Webproxy.start({ origin: origin.url, args });
      await fetchAll(webproxy, SIZES);
    }
    for (const length of SIZES) expect({ length, asked: origin.count(`/${length}`) }).toEqual({ length, asked: 1 });
  }, 60_000);

  test("answers after kill -9 of the cache, once what was in memory had been copied", async () => {
    using directory = new TempDirectory();
    await using origin = originWith(SIZES);
    const store = directory.file("store");
    await using webproxy = await Webproxy.start({ origin: origin.url, args: ["--cache-dir", store, "--hot", "0"] });
    await fetchAll(webproxy, SIZES);
    await untilOnDisk(store, SIZES.length);
    const { cache } = await webproxy.stats();
    process.kill(cache!.pid, "SIGKILL");
    await eventually(20_000, "the cache is back", async () => {
      const again = (await webproxy.stats()).cache;
      return again !== null && again.pid !== cache!.pid && again.state === "serving";
    });
    const asked = origin.requests.length;
    await fetchAll(webproxy, SIZES);
    // A request that meets the cache's absence goes to the origin: at most the first.
    expect(origin.requests.length - asked).toBeLessThanOrEqual(1);
  }, 60_000);

  test("with a flipped bit in it is asked about again, counted and told; nobody sees a wrong byte", async () => {
    using directory = new TempDirectory();
    const sizes = [3000, 900_000];
    await using origin = originWith(sizes);
    const store = directory.file("store");
    {
      await using webproxy = await Webproxy.start({ origin: origin.url, args: ["--cache-dir", store] });
      await fetchAll(webproxy, sizes);
    }
    for (const file of storedFiles(store)) {
      const bytes = readFileSync(file);
      bytes[100]! ^= 1;
      writeFileSync(file, bytes);
    }
    await using webproxy = await Webproxy.start({
      origin: origin.url,
      args: ["--cache-dir", store, "--memory", "0"],
      mayCount: ["checksumFailures"],
    });
    await fetchAll(webproxy, sizes);
    await fetchAll(webproxy, sizes);
    const { cache } = await webproxy.stats();
    expect(cache!.counters.storedBroken).toBe(2);
    await webproxy.says("fetched anew");
    for (const length of sizes) expect(origin.count(`/${length}`)).toBe(2);
  }, 60_000);

  test("is one process's at a time", async () => {
    using directory = new TempDirectory();
    await using origin = originWith([]);
    const args = ["--cache-dir", directory.file("store")];
    await using _ = await Webproxy.start({ origin: origin.url, args });
    const { exitCode, stderr } = await Webproxy.refusal({ origin: origin.url, args });
    expect(exitCode).toBe(1);
    expect(stderr).toContain("another process uses it");
  }, 60_000);

  test("of another version is refused in clear words", async () => {
    using directory = new TempDirectory();
    await using origin = originWith([]);
    writeFileSync(directory.file("webproxy-store.json"), '{"format":"webproxy-store","version":99}');
    const { exitCode, stderr } = await Webproxy.refusal({ origin: origin.url, args: ["--cache-dir", directory.path] });
    expect(exitCode).toBe(1);
    expect(stderr).toContain("holds a store of version 99");
  }, 60_000);

  test("is inspected and exported while it serves, and warms another machine's", async () => {
    using directory = new TempDirectory();
    await using origin = originWith(SIZES);
    const [store, other, file] = ["store", "other", "archive"].map((name) => directory.file(name)) as [
      string,
      string,
      string,
    ];
    const run = (...args: string[]) => {
      const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, MAIN, ...args]);
      return { exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
    };
    {
      await using webproxy = await Webproxy.start({ origin: origin.url, args: ["--cache-dir", store] });
      await fetchAll(webproxy, SIZES);
      await untilOnDisk(store, SIZES.length);
      expect(run("inspect", "/3000", "--cache-dir", store)).toMatchObject({
        exitCode: 0,
        stdout: expect.stringMatching(
          /^http:\/\/127\.0\.0\.1:\d+\/3000\n {2}200, 3000 bytes, \d+ s old, fresh for 3\d\d\d s\n$/,
        ),
      });
      expect(run("export", file, "--cache-dir", store).stdout).toStartWith(`exported ${SIZES.length} responses, `);
      expect(run("import", file, "--cache-dir", store)).toMatchObject({
        exitCode: 1,
        stderr: expect.stringContaining("another process uses it"),
      });
    }
    expect(run("import", file, "--cache-dir", other).stdout).toStartWith(`imported ${SIZES.length} responses, `);
    await using webproxy = await Webproxy.start({ origin: origin.url, args: ["--cache-dir", other] });
    await fetchAll(webproxy, SIZES);
    expect(origin.requests.length).toBe(SIZES.length);
  }, 60_000);

  test("takes no more of the disk than it may, and counts what it takes, under a flood of unique queries; hits go on", async () => {
    using directory = new TempDirectory();
    await using origin = CountingOrigin.start();
    const headers = { "Cache-Control": "max-age=3600", ETag: '"x"' };
    origin.set("/kept", { body: bodyOf(20_000), headers });
    const store = directory.file("store");
    const args = ["--cache-dir", store, "--hot", "0", "--memory", "2MiB", "--disk", "4MiB"];
    await using webproxy = await Webproxy.start({ origin: origin.url, args });
    const kept = async () => {
      const got = await http(webproxy.http, "/kept");
      expect(got).toMatchObject({ status: "200", sha256: sha256(bodyOf(20_000)) });
    };
    for (let use = 0; use < 4; use++) await kept();
    for (let round = 0; round < 20; round++) {
      const paths = Array.from({ length: 30 }, (_, index) => `/flood?${round}-${index}`);
      for (const [index, path] of paths.entries()) origin.set(path, { body: bodyOf(10_000 + index * 700), headers });
      await Promise.all(paths.map((path) => http(webproxy.http, path)));
      await kept();
      const { cache } = await webproxy.stats();
      expect(cache!.counters.memoryBytes).toBeLessThanOrEqual(2 * 2 ** 20);
      expect(cache!.counters.diskBytes).toBeLessThanOrEqual(4 * 2 ** 20);
      const onDisk = storedFiles(store).reduce(
        (sum, file) => sum + (statSync(file, { throwIfNoEntry: false })?.blocks ?? 0) * 512,
        0,
      );
      expect(onDisk).toBeLessThanOrEqual(4 * 2 ** 20);
    }
    expect(origin.count("/kept")).toBe(1);
  }, 120_000);
});
