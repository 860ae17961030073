/** HTTP over TLS: certificates by name, changed while it listens; curl and openssl as clients. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { defaultSite } from "@proj/protocol";
import { type RunningProxy, startProxy, type TlsPair } from "@proj/proxy";
import { sha256, someBytes } from "../support/bytes.ts";
import { field } from "../support/http-client.ts";
import { TempDirectory } from "../support/temp-directory.ts";
import { ownChannel, Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";
import { NodeOrigin } from "./node-origin.ts";
import { RawOrigin, Wire } from "./wire.ts";

const NAMES = ["one.test", "two.test", "three.test"] as const;
type Name = (typeof NAMES)[number];

let files: TempDirectory;
let origin: NodeOrigin;
beforeAll(async () => {
  files = new TempDirectory();
  for (const name of NAMES) {
    const made = Bun.spawnSync([
      ...[
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
      ],
      ...["-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name},DNS:*.${name},IP:127.0.0.1`],
      ...["-keyout", files.file(`${name}.key`), "-out", files.file(`${name}.pem`)],
    ]);
    if (made.exitCode !== 0) throw new Error(made.stderr.toString());
  }
  origin = await NodeOrigin.start();
}, 40_000);
afterAll(async () => {
  await origin?.[Symbol.asyncDispose]();
  files?.[Symbol.dispose]();
});

function pair(name: Name): TlsPair {
  const read = (kind: string) => readFileSync(files.file(`${name}.${kind}`), "latin1");
  return { cert: read("pem"), key: read("key") };
}

async function curl(port: number, host: string, trusted: Name, path: string, ...args: string[]) {
  const child = Bun.spawn(
    [
      ...[
        "curl",
        "-sS",
        "-m",
        "30",
        "--cacert",
        files.file(`${trusted}.pem`),
        "--resolve",
        `${host}:${port}:127.0.0.1`,
      ],
      ...["-w", "%{stderr}%{http_code}", ...args, `https://${host}:${port}${path}`],
    ],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  const [body, said] = await Promise.all([new Response(child.stdout).bytes(), new Response(child.stderr).text()]);
  return { exitCode: await child.exited, status: said.slice(-3), body };
}

describe("startProxy({ tls })", () => {
  let proxy: RunningProxy;
  beforeAll(async () => {
    proxy = await startProxy({
      channel: ownChannel(),
      threads: 2,
      segments: 4,
      segmentBytes: 65_536,
      host: "127.0.0.1",
      httpPort: 0,
      getfilePort: 0,
      getfileWire: "crlf",
      hotBytes: 0,
      origin: new URL(origin.url),
      tls: { port: 0, pairs: [pair("one.test"), pair("two.test")] },
      log: () => {},
    });
  }, 40_000);
  afterAll(async () => await proxy?.close({ graceMs: 100 }));
  const settings = () => ({ sites: [defaultSite([origin.url])], trustProxy: [], limits: {} });

  test("content goes both ways, and the origin is told the scheme", async () => {
    const content = someBytes(8_000_000, 1);
    writeFileSync(files.file("up"), content);
    const put = ["-X", "OPTIONS", "-T", files.file("up")]; // a safe method waits for no cache
    const { status, body } = await curl(proxy.httpsPort!, "one.test", "one.test", "/up", ...put);
    expect([status, sha256(body)]).toEqual(["200", sha256(content)]);
    const asked = () => origin.requests.find(({ target }) => target === "/up");
    const seen = await eventually(5_000, "what the origin read", asked);
    expect(seen.fields[seen.fields.indexOf("X-Forwarded-Proto") + 1]).toBe("https");
  }, 40_000);

  test("a client gets the certificate of the host that it names, and the first when it names another", async () => {
    const ask = async (host: string, trusted: Name) =>
      (await curl(proxy.httpsPort!, host, trusted, "/", "-X", "OPTIONS")).exitCode;
    const NOT_VERIFIED = 60; // curl's
    expect(await ask("two.test", "two.test")).toBe(0);
    expect(await ask("www.two.test", "two.test")).toBe(0);
    expect(await ask("two.test", "one.test")).toBe(NOT_VERIFIED);
    expect(await ask("three.test", "three.test")).toBe(NOT_VERIFIED);
    expect((await curl(proxy.httpsPort!, "three.test", "three.test", "/", "-k", "-X", "OPTIONS")).status).toBe("200");
  }, 40_000);

  test("octets that are no TLS, and clients that leave in the middle, disturb nobody", async () => {
    for (const octets of [
      "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
      "\x16\x03\x01",
      "\x16\x03\x01\xff\xff".padEnd(70_000, "x"),
    ]) {
      using client = await Wire.connect({ host: "127.0.0.1", port: proxy.httpsPort! });
      await client.send(octets);
      client.reset();
    }
    expect((await curl(proxy.httpsPort!, "one.test", "one.test", "/", "-X", "OPTIONS")).status).toBe("200");
  }, 40_000);

  test("handshakes count as connections: beyond --max-connections they are closed, and others get through when they end", async () => {
    const silent: Wire[] = [];
    await proxy.use({ ...settings(), limits: { connections: 20 } });
    try {
      for (let index = 0; index < 100; index++) {
        const connecting = Wire.connect({ host: "127.0.0.1", port: proxy.httpsPort! });
        // One that is refused may be reset before it is told that it is connected.
        await connecting.then((client) => silent.push(client)).catch(() => {});
      }
      const open = () => silent.filter(({ ended }) => ended === "no").length;
      await eventually(
        5_000,
        () => `most are closed, of which ${open()} are open`,
        () => open() <= 40,
      );
      expect(open()).toBeGreaterThanOrEqual(20);
    } finally {
      for (const client of silent) client.reset();
      await proxy.use(settings());
    }
    const isServed = async () =>
      (await curl(proxy.httpsPort!, "one.test", "one.test", "/", "-X", "OPTIONS")).status === "200";
    await eventually(5_000, "a handshake is accepted again", isServed);
  }, 40_000);

  test("useCertificates() takes the place of all, on every thread; what is no pair changes nothing", async () => {
    await expect(proxy.useCertificates([{ ...pair("one.test"), key: pair("two.test").key }])).rejects.toThrow(
      "Cannot use certificate and key number 1",
    );
    expect((await curl(proxy.httpsPort!, "two.test", "two.test", "/", "-X", "OPTIONS")).exitCode).toBe(0);
    await proxy.useCertificates([pair("three.test")]);
    for (let index = 0; index < 10; index++) {
      expect((await curl(proxy.httpsPort!, "three.test", "three.test", "/", "-X", "OPTIONS")).exitCode).toBe(0);
      expect((await curl(proxy.httpsPort!, "one.test", "one.test", "/", "-X", "OPTIONS")).exitCode).toBe(60);
    }
  }, 60_000);
});

test("--tls-cert and --tls-key: hits, misses and what passes; SIGHUP reads the files again", async () => {
  for (const kind of ["pem", "key"])
    writeFileSync(files.file(`live.${kind}`), readFileSync(files.file(`one.test.${kind}`)));
  const two = (kind: string) => files.file(`two.test.${kind}`);
  await using webproxy = await Webproxy.start({
    origin: origin.url,
    args: [
      ...["--https-port", "0", "--tls-cert", `${files.file("live.pem")},${two("pem")}`],
      ...["--tls-key", `${files.file("live.key")},${two("key")}`],
    ],
  });
  const port = Number(/ https=127\.0\.0\.1:(\d+)/.exec(webproxy.stdout)?.[1]);
  expect((await curl(port, "one.test", "one.test", "/a", "-d", "x")).status).toBe("200");
  expect((await curl(port, "two.test", "two.test", "/a")).status).toBe("200");
  for (const kind of ["pem", "key"])
    writeFileSync(files.file(`live.${kind}`), readFileSync(files.file(`three.test.${kind}`)));
  webproxy.kill("SIGHUP");
  await eventually(10_000, "the new certificate is used", async () => {
    return (await curl(port, "three.test", "three.test", "/a")).status === "200";
  });
  // Files that are no pair are said so, and what is used stays.
  writeFileSync(files.file("live.pem"), "no certificate");
  webproxy.kill("SIGHUP");
  await eventually(10_000, "the refusal is logged", () => webproxy.stderr.includes("Cannot use certificate"));
  const { head } = await (async () => {
    const answered = await curl(port, "three.test", "three.test", "/a", "-i");
    return { head: Buffer.from(answered.body).toString("latin1") };
  })();
  expect(field(head, "via")).toBe("1.1 webproxy");
  // Nor does it matter to a proxy that is started again.
  const { pid } = (await webproxy.stats()).proxy!;
  process.kill(pid, "SIGKILL");
  await webproxy.recovered(pid);
  expect((await curl(port, "three.test", "three.test", "/a")).status).toBe("200");
}, 60_000);

test.each(["https", "http"] as const)(
  "19 %s: a body that is cut off on its way to a client that is told no length ends in a reset, and a whole one in order",
  async (scheme) => {
    using cut = new RawOrigin(async (wire) => {
      for (;;) {
        const head = await wire.head();
        await wire.send(
          "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        );
        await Bun.sleep(300); // a reset may take with it what has not been read yet
        if (head.includes("/whole")) await wire.send("0\r\n\r\n");
        else return wire.close();
      }
    });
    const tls = [
      "--tls-cert",
      files.file("one.test.pem"),
      "--tls-key",
      files.file("one.test.key"),
      "--https-port",
      "0",
    ];
    await using webproxy = await Webproxy.start({ origin: cut.url, args: tls });
    const { port } = webproxy[scheme];
    const CURLE_RECV_ERROR = 56;
    for (const method of ["GET", "POST"]) {
      for (const [path, exitCode] of [
        ["/cut", CURLE_RECV_ERROR],
        ["/whole", 0],
      ] as const) {
        const args = ["-sS", "-0", "-k", "-m", "20", "-X", method, `${scheme}://127.0.0.1:${port}${path}`];
        const child = Bun.spawn(["curl", ...args], { stdio: ["ignore", "pipe", "pipe"] });
        const said = await new Response(child.stdout).text();
        expect([method, path, said, await child.exited]).toEqual([method, path, "hello", exitCode]);
      }
    }
  },
  60_000,
);

test("--origin-ca: an https origin is verified by it, through the cache and past it", async () => {
  using server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    tls: pair("one.test"),
    fetch: async (request) => new Response(`${request.method} ${await request.text()}`),
  });
  const url = `https://127.0.0.1:${server.port}`;
  for (const [args, status] of [
    [["--origin-ca", files.file("one.test.pem")], "200"],
    [["--origin-ca", files.file("two.test.pem")], "502"],
    [[], "502"],
  ] as const) {
    await using webproxy = await Webproxy.start({ origin: url, args });
    using client = await Wire.connect(webproxy.http);
    for (const request of [
      "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
    ]) {
      await client.send(request);
      const head = await client.head();
      expect(head).toStartWith(`HTTP/1.1 ${status} `);
      if (request.startsWith("POST") && status === "502") expect(field(head, "proxy-status")).toContain("error=tls_");
      await client.exactly(Number(field(head, "content-length")));
    }
  }
}, 60_000);
