/**
 * One thread of the proxy is held while the process is not replaced: the others accept its clients, on each port, until it goes on. When the process ends meanwhile, nobody is left to
 * wait on the sockets of that thread.
 */
import { expect, test } from "bun:test";
import { sha256, someBytes } from "../support/bytes.ts";
import type { ClientResult } from "../support/client-result.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile } from "../support/getfile-client.ts";
import { http } from "../support/http-client.ts";
import { TempDirectory } from "../support/temp-directory.ts";
import { holdThread } from "../support/thread-fault.ts";
import { ownChannel, Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

const THREADS = 3;
/** Of each kind, each on a connection of its own: it is next to certain that the kernel gives the held thread some of them. */
const CLIENTS = 40;
const BODY = someBytes(50_000, 77);
const TIMEOUT_MS = 60_000;

test("a thread of the proxy that is held has its clients served by the others, and goes on beside them", async () => {
  await using origin = CountingOrigin.start();
  origin.set("/file", { body: BODY, headers: { "Cache-Control": "max-age=600" } });
  using files = new TempDirectory();
  const certificate = makeCertificate(files);
  const channel = ownChannel();
  const args = ["--threads", String(THREADS)];
  await using cache = await Webproxy.start({ origin: origin.url, command: "cache", channel, args });
  await using webproxy = await Webproxy.start({
    origin: origin.url,
    command: "proxy",
    channel,
    args: [...args, ...certificate],
  });
  await expectServed(webproxy);
  const held = await holdThread(webproxy.pid, "proxy 0");
  try {
    await expectServed(webproxy);
    await webproxy.says("Thread 0 of the proxy hangs");
  } finally {
    await held[Symbol.asyncDispose]();
  }
  await expectServed(webproxy);
  expect((await webproxy.stop()).exitCode).toBe(0);
  expect((await cache.stop()).exitCode).toBe(0);
}, 180_000);

for (const command of ["proxy", "start"] as const) {
  test(`who comes while a proxy ends, one of whose threads is held, is refused and does not wait for its end (webproxy ${command})`, async () => {
    await using origin = CountingOrigin.start();
    await using webproxy = await Webproxy.start({ origin: origin.url, command, args: ["--threads", String(THREADS)] });
    const pid = command === "proxy" ? webproxy.pid : (await webproxy.stats()).proxy!.pid;
    const held = await holdThread(pid, "proxy 0");
    try {
      await webproxy.says("hangs");
      let hasEnded = false;
      const ended = webproxy.stop().finally(() => {
        hasEnded = true;
      });
      await eventually(
        TIMEOUT_MS,
        "new clients are refused",
        async () => (await connect(webproxy.http.port)) === "refused",
      );
      for (let client = 0; client < CLIENTS; client++) expect(await connect(webproxy.http.port)).toBe("refused");
      for (let client = 0; client < CLIENTS; client++) expect(await connect(webproxy.getfile.port)).toBe("refused");
      expect(hasEnded).toBe(false);
      await held[Symbol.asyncDispose]();
      expect((await ended).exitCode).toBe(0);
    } finally {
      await held[Symbol.asyncDispose]();
    }
  }, 180_000);
}

async function connect(port: number): Promise<"refused" | "connected"> {
  try {
    const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } });
    socket.terminate();
    return "connected";
  } catch {
    return "refused";
  }
}

async function expectServed(webproxy: Webproxy): Promise<void> {
  const clients = Array.from({ length: CLIENTS }, () => [
    http(webproxy.http, "/file", { timeoutMs: TIMEOUT_MS }).then(summary),
    getfile(webproxy.getfile, "/file", { timeoutMs: TIMEOUT_MS }).then(summary),
    https(webproxy.https.port),
  ]);
  const expected = { isOk: true, sha256: sha256(BODY) };
  for (const result of await Promise.all(clients.flat())) expect(result).toEqual(expected);
}

function summary({ status, isComplete, sha256 }: ClientResult) {
  return { isOk: isComplete && (status === "200" || status === "OK"), sha256 };
}

async function https(port: number) {
  const response = await fetch(`https://127.0.0.1:${port}/file`, {
    keepalive: false,
    tls: { rejectUnauthorized: false },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  return { isOk: response.ok, sha256: sha256(Buffer.from(await response.arrayBuffer())) };
}

function makeCertificate(files: TempDirectory): string[] {
  const [key, cert] = [files.file("key.pem"), files.file("cert.pem")];
  const made = Bun.spawnSync([
    ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"],
    ...["-subj", "/CN=held.test", "-keyout", key, "-out", cert],
  ]);
  if (made.exitCode !== 0) throw new Error(made.stderr.toString());
  return ["--tls-cert", cert, "--tls-key", key, "--https-port", "0"];
}
