import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { once } from "node:events";
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loopbackAddressOf } from "./address.ts";
import { type EmbeddedOrigin, startEmbeddedOrigin } from "./server.ts";

const LARGE_BYTES = 3 * 1024 * 1024 + 1;
let temporary: string;
let root: string;
let origin: EmbeddedOrigin;

beforeAll(async () => {
  temporary = mkdtempSync(join(tmpdir(), "webproxy-origin-"));
  root = join(temporary, "public");
  mkdirSync(join(root, "dir", "empty"), { recursive: true });
  mkdirSync(join(temporary, "secret"));
  writeFileSync(join(temporary, "secret", "key.txt"), "secret");
  writeFileSync(join(root, "a.txt"), "hello\n");
  writeFileSync(join(root, "empty.txt"), "");
  writeFileSync(join(root, "ä b.json"), "{}");
  writeFileSync(join(root, ".env"), "secret");
  writeFileSync(join(root, "index.html"), "<p>root");
  writeFileSync(join(root, "dir", "index.html"), "<p>dir");
  writeFileSync(join(root, "large.bin"), pattern(LARGE_BYTES));
  symlinkSync(join(root, "a.txt"), join(root, "inside.txt"));
  symlinkSync(join(temporary, "secret", "key.txt"), join(root, "outside.txt"));
  symlinkSync(join(temporary, "secret"), join(root, "outside"));
  symlinkSync(".env", join(root, "dotted.txt"));
  symlinkSync("loop.txt", join(root, "loop.txt"));
  Bun.spawnSync(["mkfifo", join(root, "fifo")]);
  origin = await startEmbeddedOrigin(root);
});

afterAll(async () => {
  await origin.stop();
  rmSync(temporary, { recursive: true });
});

function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 31 + (index >> 8)) & 0xff);
}

function get(path: string, init?: RequestInit): Promise<Response> {
  return fetch(new URL(path, origin.url), init);
}

/** One request as it stands, without a client that tidies its target. */
function raw(target: string, method = "GET"): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(origin.url.port), origin.url.hostname);
    let answer = "";
    socket.setEncoding("latin1").on("data", (text) => {
      answer += text;
    });
    socket.on("close", () => resolve(answer)).on("error", reject);
    socket.write(`${method} ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  });
}

describe("startEmbeddedOrigin()", () => {
  test("serves a file with its length, type, validators and freshness", async () => {
    const response = await get("/a.txt");
    expect(await response.text()).toBe("hello\n");
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "content-length": "6",
      "content-type": "text/plain; charset=utf-8",
      "cache-control": "max-age=60",
      "accept-ranges": "bytes",
    });
    expect(response.headers.get("etag")).toMatch(/^"[0-9a-z-]+"$/);
    expect(Date.parse(response.headers.get("last-modified") ?? "")).toBeLessThanOrEqual(Date.now());
    expect(Date.parse(response.headers.get("date") ?? "")).toBeGreaterThan(0);
  });

  test("serves an empty file, a name beyond ASCII, a link within the directory and each directory's index.html", async () => {
    const empty = await get("/empty.txt");
    expect([await empty.text(), empty.headers.get("content-length")]).toEqual(["", "0"]);
    expect(await (await get("/%C3%A4%20b.json")).json()).toEqual({});
    expect(await (await get("/inside.txt")).text()).toBe("hello\n");
    expect(await (await get("/")).text()).toBe("<p>root");
    expect(await (await get("/dir/")).text()).toBe("<p>dir");
    expect(await (await get("/dir?x=1")).text()).toBe("<p>dir");
  });

  test("answers HEAD as GET, without the body", async () => {
    for (const path of ["/a.txt", "/large.bin", "/empty.txt"]) {
      const got = await get(path);
      const head = await get(path, { method: "HEAD" });
      expect(head.headers.get("content-length")).toBe(String((await got.arrayBuffer()).byteLength));
      expect(head.headers.get("etag")).toBe(got.headers.get("etag"));
      expect(await head.text()).toBe("");
    }
  });

  const refused = [
    "/none",
    "/none/a",
    "/a.txt/",
    "/a.txt/b",
    "/dir/empty/",
    "/.env",
    "/dotted.txt",
    "/outside.txt",
    "/outside/key.txt",
    "/loop.txt",
    "/fifo",
    `/${"x".repeat(300)}`,
  ];
  for (const path of refused) {
    test(`has nothing at ${path.slice(0, 40)}`, async () => {
      const response = await get(path);
      expect([response.status, response.headers.get("cache-control")]).toEqual([404, "no-store"]);
      expect(await response.text()).not.toContain("secret");
    });
  }

  test("is not left by any spelling of ..", async () => {
    const spellings = [
      "/../secret/key.txt",
      "/%2e%2e/secret/key.txt",
      "/dir/../../secret/key.txt",
      "/..%2fsecret%2fkey.txt",
      "//secret/key.txt",
      "/outside/../../secret/key.txt",
      `/..//${temporary}/secret/key.txt`,
      `${temporary}/secret/key.txt`,
      "/a.txt%00.html",
      "/%2e%2e%2fsecret/key.txt",
      "/\\..\\..\\secret\\key.txt",
    ];
    for (const target of spellings)
      expect({ target, answer: await raw(target) }).toMatchObject({
        target,
        answer: expect.stringMatching(/^HTTP\/1.1 (404|400)/),
      });
  });

  test("refuses every other method", async () => {
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
      const response = await get("/a.txt", { method });
      expect([response.status, response.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
    }
  });

  test("answers 304 to its own entity tag and date, 412 to another", async () => {
    const first = await get("/a.txt");
    const etag = first.headers.get("etag") ?? "";
    const again = await get("/a.txt", { headers: { "if-none-match": etag } });
    expect([again.status, await again.text(), again.headers.get("etag")]).toEqual([304, "", etag]);
    const since = await get("/a.txt", { headers: { "if-modified-since": first.headers.get("last-modified") ?? "" } });
    expect(since.status).toBe(304);
    expect((await get("/a.txt", { headers: { "if-match": '"other"' } })).status).toBe(412);
  });

  test("sends single ranges of small and large files", async () => {
    const large = pattern(LARGE_BYTES);
    const ranges: readonly [string, number, number][] = [
      ["bytes=0-0", 0, 1],
      ["bytes=-10", LARGE_BYTES - 10, LARGE_BYTES],
      ["bytes=100-2000099", 100, 2_000_100],
      ["bytes=1048576-", 1_048_576, LARGE_BYTES],
    ];
    for (const [range, start, end] of ranges) {
      const response = await get("/large.bin", { headers: { range } });
      expect(response.status).toBe(206);
      expect(response.headers.get("content-range")).toBe(`bytes ${start}-${end - 1}/${LARGE_BYTES}`);
      expect(response.headers.get("content-length")).toBe(String(end - start));
      expect(Bun.hash(await response.arrayBuffer())).toBe(Bun.hash(large.subarray(start, end)));
    }
    const beyond = await get("/a.txt", { headers: { range: "bytes=6-" } });
    expect([beyond.status, beyond.headers.get("content-range")]).toEqual([416, "bytes */6"]);
    const other = await get("/a.txt", { headers: { range: "bytes=0-1", "if-range": '"other"' } });
    expect([other.status, await other.text()]).toEqual([200, "hello\n"]);
  });

  test("sends right bytes to 200 clients at once, small and large, and keeps no descriptor", async () => {
    const expected = { "/a.txt": Bun.hash("hello\n"), "/large.bin": Bun.hash(pattern(LARGE_BYTES)) };
    await get("/a.txt");
    const before = readdirSync("/proc/self/fd").length;
    const paths = Array.from(
      { length: 200 },
      (_, index) => (index % 2 === 0 ? "/a.txt" : "/large.bin") as keyof typeof expected,
    );
    await Promise.all(
      paths.map(async (path) => {
        const response = await get(path);
        expect(Bun.hash(await response.arrayBuffer())).toBe(expected[path]);
      }),
    );
    await Bun.sleep(50);
    // The client's kept connections are descriptors of this process too: fetch keeps at most 64, with one end each here.
    expect(readdirSync("/proc/self/fd").length - before).toBeLessThanOrEqual(2 * 256);
    const held = readdirSync("/proc/self/fd").filter((fd) => linkOf(fd).startsWith(root));
    expect(held).toEqual([]);
  });

  test("gives a new entity tag to every content, however soon it follows and whatever its mtime says", async () => {
    const path = join(root, "changing.txt");
    const tags = new Set<string>();
    const times = new Date(1_700_000_000_000);
    for (let round = 0; round < 20; round++) {
      writeFileSync(path, `round ${String(round).padStart(3, "0")}`);
      utimesSync(path, times, times);
      const response = await get("/changing.txt");
      expect(await response.text()).toBe(`round ${String(round).padStart(3, "0")}`);
      tags.add(response.headers.get("etag") ?? "");
    }
    expect(tags.size).toBe(20);
  });

  test("a file that gets a successor by rename, or is unlinked, while it is sent arrives whole", async () => {
    const path = join(root, "succeeded.bin");
    for (const change of [() => renameSync(`${path}.new`, path), () => unlinkSync(path)]) {
      writeFileSync(path, new Uint8Array(8 * 1024 * 1024).fill(1));
      writeFileSync(`${path}.new`, new Uint8Array(100).fill(2));
      const response = await get("/succeeded.bin");
      const reader = response.body!.getReader();
      const first = await reader.read();
      change();
      let bytes = first.value!.length;
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        bytes += part.value.length;
        expect(part.value.every((byte: number) => byte === 1)).toBe(true);
      }
      expect(bytes).toBe(8 * 1024 * 1024);
    }
  });

  test("never mixes two contents of a file that is replaced while it is asked for", async () => {
    const path = join(root, "replaced.bin");
    const contents = [
      new Uint8Array(200_000).fill(1),
      new Uint8Array(2_000_000).fill(2),
      new Uint8Array(1_500_000).fill(3),
    ];
    const replace = (round: number) => {
      writeFileSync(`${path}.new`, contents[round % contents.length]!);
      renameSync(`${path}.new`, path);
    };
    replace(0);
    for (let round = 1; round < 60; round++) {
      const pending = Array.from(
        { length: 4 },
        async () => new Uint8Array(await (await get("/replaced.bin")).arrayBuffer()),
      );
      replace(round);
      for (const bytes of await Promise.all(pending)) {
        const content = contents.find((each) => each[0] === bytes[0]);
        expect(Buffer.from(bytes).equals(Buffer.from(content!))).toBeTrue();
      }
    }
  });

  for (const [change, apply] of [
    ["truncated", (path: string) => truncateSync(path, 1000)],
    ["overwritten in place", (path: string) => overwrite(path)],
  ] as const) {
    test(`breaks off when a large file is ${change} while it is sent, and goes on serving`, async () => {
      const bytes = 64 * 1024 * 1024;
      const path = join(root, "large-changing.bin");
      writeFileSync(path, new Uint8Array(bytes));
      const socket = connect(Number(origin.url.port), origin.url.hostname);
      socket.write("GET /large-changing.bin HTTP/1.1\r\nHost: x\r\n\r\n");
      const [first] = (await once(socket, "data")) as [Buffer];
      socket.pause();
      apply(path);
      let received = first.length - first.indexOf("\r\n\r\n") - 4;
      socket.on("data", (chunk: Buffer) => {
        received += chunk.length;
      });
      socket.resume();
      await once(socket, "close");
      expect(received).toBeLessThan(bytes);
      expect(await (await get("/a.txt")).text()).toBe("hello\n");
    });
  }

  test("says 503 of a file that never rests", async () => {
    const path = join(root, "growing.log");
    writeFileSync(path, "");
    const growing = setInterval(() => appendFileSync(path, "x".repeat(100)), 1);
    try {
      const response = await get("/growing.log");
      expect([response.status, response.headers.get("retry-after")]).toEqual([503, "1"]);
    } finally {
      clearInterval(growing);
    }
  });

  test("refuses a directory that is not there, and a file", async () => {
    expect(startEmbeddedOrigin(join(temporary, "none"))).rejects.toThrow(
      /^Cannot serve .*\/none as the origin: ENOENT; make it \(mkdir -p/,
    );
    expect(startEmbeddedOrigin(join(root, "a.txt"))).rejects.toThrow(/it is no directory; give a directory/);
  });

  test("gives a directory the same address each time, and takes another port while it is used", async () => {
    const address = loopbackAddressOf(root);
    expect(loopbackAddressOf(root)).toEqual(address);
    expect(loopbackAddressOf(temporary)).not.toEqual(address);
    expect(address.hostname).toMatch(/^127\.\d+\.\d+\.\d+$/);
    const second = await startEmbeddedOrigin(root);
    try {
      expect(second.url.port).not.toBe(origin.url.port);
      expect(await (await fetch(new URL("/a.txt", second.url))).text()).toBe("hello\n");
    } finally {
      await second.stop();
    }
  });
});

function overwrite(path: string): void {
  const fildes = openSync(path, "r+");
  writeSync(fildes, "changed", 60 * 1024 * 1024);
  closeSync(fildes);
}

function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return "";
  }
}
