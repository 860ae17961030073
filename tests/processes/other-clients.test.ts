/** Clients that others wrote: curl for HTTP, the project's C load client and our own `webproxy get` for GETFILE. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { sha256, someBytes } from "../support/bytes.ts";
import { buildC, cProgramsMissing, runGfload } from "../support/c-client.ts";
import { TempDirectory } from "../support/temp-directory.ts";
import { MAIN, Webproxy } from "../support/webproxy.ts";

const SIZES = [0, 1, 1024, 64 * 1024, 1024 * 1024 + 1, 64 * 1024 * 1024];

let directory: TempDirectory;
let webproxies: Record<"crlf" | "pr3", Webproxy>;
const sums = new Map<number, string>();
beforeAll(async () => {
  directory = new TempDirectory({ mode: 0o755 });
  for (const length of SIZES) {
    const body = someBytes(length, length + 5);
    sums.set(length, sha256(body));
    writeFileSync(directory.file(`file-${length}`), body);
  }
  const start = (wire: string) => Webproxy.start({ origin: directory.path, args: ["--getfile-wire", wire] });
  webproxies = { crlf: await start("crlf"), pr3: await start("pr3") };
}, 120_000);
afterAll(async () => {
  for (const webproxy of Object.values(webproxies ?? {})) await webproxy[Symbol.asyncDispose]();
  directory[Symbol.dispose]();
}, 120_000);

describe("curl", () => {
  test.skipIf(Bun.which("curl") === null)(
    "gets each file, cold and warm, and several over one connection (skipped without curl)",
    () => {
      const { host, port } = webproxies.crlf.http;
      for (const length of SIZES) {
        for (const temperature of ["cold", "warm"]) {
          const into = directory.file("got");
          const { exitCode, stdout } = Bun.spawnSync([
            "curl",
            "-sS",
            "--max-time",
            "30",
            "-o",
            into,
            "-w",
            "%{http_code} %{size_download}",
            `http://${host}:${port}/file-${length}`,
          ]);
          expect({ temperature, exitCode, said: stdout.toString() }).toEqual({
            temperature,
            exitCode: 0,
            said: `200 ${length}`,
          });
          expect(sha256(readFileSync(into))).toBe(sums.get(length)!);
        }
      }
      const urls = [1, 1024, 64 * 1024].map((length) => `http://${host}:${port}/file-${length}`);
      const many = Bun.spawnSync([
        "curl",
        "-sS",
        "--max-time",
        "30",
        "-w",
        "%{stderr}%{num_connects} ",
        ...urls.flatMap((url) => ["-o", "/dev/null", url]),
      ]);
      expect(many.stderr.toString()).toBe("1 0 0 ");
      const head = Bun.spawnSync(["curl", "-sS", "--max-time", "30", "-I", urls[1]!]).stdout.toString();
      expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
      expect(head).toMatch(/^content-length: 1024\r$/im);
      expect(head).toMatch(/^cache-status: webproxy; hit/im);
      expect(head).toMatch(/^age: \d+\r$/im);
      expect(head).toMatch(/^via: 1\.1 webproxy\r$/im);
    },
    60_000,
  );
});

const missing = cProgramsMissing();
describe("the C load client", () => {
  for (const wire of ["crlf", "pr3"] as const) {
    test.skipIf(missing !== undefined)(
      `wire ${wire}: every byte of every file, 8 threads${missing === undefined ? "" : ` (skipped: ${missing})`}`,
      async () => {
        const program = buildC("gfload", directory);
        for (const [length, requestsMax] of [
          [0, 50],
          [1, 50],
          [1024, 200],
          [64 * 1024, 100],
          [1024 * 1024 + 1, 20],
          [64 * 1024 * 1024, 1],
        ] as const) {
          const expected = directory.file(`file-${length}`);
          const load = {
            address: webproxies[wire].getfile,
            path: `/file-${length}`,
            threads: 8,
            seconds: 60,
            requestsMax,
            expected,
          };
          const { outcomes } = await runGfload(program, load);
          const none = { err: 0, notfound: 0, wrong: 0, timeout: 0 };
          expect({ length, ...outcomes }).toEqual({ length, ok: 8 * requestsMax, ...none });
        }
        await webproxies[wire].segmentsReturned();
      },
      90_000,
    );
  }
});

describe("webproxy get", () => {
  for (const wire of ["crlf", "pr3"] as const) {
    test(`wire ${wire}: each file to -o and to standard output`, async () => {
      const { host, port } = webproxies[wire].getfile;
      for (const length of SIZES) {
        const into = directory.file(`got-${wire}`);
        const args = ["get", "--wire", wire, "--host", host, "--port", String(port), `/file-${length}`];
        const toFile = Bun.spawn([process.execPath, MAIN, ...args, "-o", into], {
          stdio: ["ignore", "pipe", "pipe"],
          timeout: 30_000,
        });
        expect(await toFile.exited).toBe(0);
        expect(sha256(readFileSync(into))).toBe(sums.get(length)!);
        const toOutput = Bun.spawn([process.execPath, MAIN, ...args], {
          stdio: ["ignore", "pipe", "pipe"],
          timeout: 30_000,
        });
        expect(sha256(await toOutput.stdout.bytes())).toBe(sums.get(length)!);
        expect(await toOutput.exited).toBe(0);
      }
    }, 90_000);
  }
});
