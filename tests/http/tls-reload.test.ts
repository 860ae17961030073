/**
 * CHECKLIST 65: certificates are replaced by SIGHUP while dozens of clients are served over TLS, on connections that stay and on new ones: no request fails, and who connects once it was said that
 * they hold gets the new one. Ones that can not be used are refused, together with all else that was to hold with them.
 */
import { expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { connect, type TLSSocket } from "node:tls";
import { ConfigFile } from "../config/support.ts";
import { sha256, someBytes } from "../support/bytes.ts";
import { type CertificateFiles, makeCertificate } from "../support/certificate.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { field, http } from "../support/http-client.ts";
import { TempDirectory } from "../support/temp-directory.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually, within } from "../support/within.ts";

const PATIENCE_MS = 60_000;
const KEEPING = 24;
const COMING = 12;
/** Between two requests of a client: all of them together are to leave the processors room for what is looked at. */
const THINKS_MS = 10;
const ROUNDS = 4;
/** Each is accepted by one of the threads, whichever. */
const LOOKS = 8;
const FRESH = { "Cache-Control": "max-age=600" };
const FILES = [2_000, 300_000].map((bytes, index) => ({ path: `/${index}`, body: someBytes(bytes, 650 + index) }));
const SUMS = FILES.map(({ body }) => sha256(body));

const USED = "The configuration was read again";
const REFUSED = "The configuration can not be used, and what held before goes on: Cannot use certificate";

test("65 certificates replaced by SIGHUP under load: no request fails, new connections get the new one, and what is none is refused", async () => {
  await using origin = CountingOrigin.start();
  for (const { path, body } of FILES) origin.set(path, { body, headers: FRESH });
  using files = new TempDirectory();
  const pairs = [makeCertificate(files, "one.test"), makeCertificate(files, "two.test")] as const;
  const live = { cert: files.file("live.pem"), key: files.file("live.key") };
  const use = ({ cert, key }: CertificateFiles) => {
    copyFileSync(cert, live.cert);
    copyFileSync(key, live.key);
  };
  use(pairs[0]);
  const args = ["--https-port", "0", "--tls-cert", live.cert, "--tls-key", live.key];
  await using webproxy = await Webproxy.start({ origin: origin.url, args });
  const expectCertificate = async ({ cert }: CertificateFiles) => {
    const { fingerprint256 } = new X509Certificate(readFileSync(cert));
    for (let look = 0; look < LOOKS; look++) expect(await certificateOf(webproxy.https.port)).toBe(fingerprint256);
  };
  await expectCertificate(pairs[0]);

  const load = new Load(webproxy.https.port);
  try {
    await eventually(PATIENCE_MS, "all clients are served", () => load.served > 4 * (KEEPING + COMING));
    for (let round = 1; round <= ROUNDS; round++) {
      const pair = pairs[round % 2]!;
      use(pair);
      await reload(webproxy, USED);
      await expectCertificate(pair);
    }
    // Neither what is no certificate nor what is not the key's changes anything.
    writeFileSync(live.cert, "no certificate");
    await reload(webproxy, REFUSED);
    await expectCertificate(pairs[ROUNDS % 2]!);
    use({ ...pairs[0], key: pairs[1].key });
    await reload(webproxy, REFUSED);
    await expectCertificate(pairs[ROUNDS % 2]!);
  } finally {
    await load.stop();
  }
  expect(load.failures).toEqual([]);

  // Nor to a proxy that is started again.
  const { pid } = (await webproxy.stats()).proxy!;
  process.kill(pid, "SIGKILL");
  await webproxy.recovered(pid);
  await expectCertificate(pairs[ROUNDS % 2]!);
  use(pairs[1]);
  await reload(webproxy, USED);
  await expectCertificate(pairs[1]);
}, 120_000);

test("65 a certificate that can not be used has the whole configuration refused: the sites before it go on, and what is stored of them", async () => {
  using files = new TempDirectory();
  for (const name of ["before", "after"]) {
    mkdirSync(files.file(name));
    writeFileSync(files.file(name, "page.txt"), name);
  }
  const { cert: tlsCert, key: tlsKey } = makeCertificate(files, "one.test");
  const configFor = (directory: string, cert: string) => ({
    tlsCert: cert,
    tlsKey,
    httpsPort: 0,
    rules: [{ path: "/*", ttl: 600 }],
    origin: files.file(directory),
  });
  using config = new ConfigFile(configFor("before", tlsCert));
  // What is hot is known by host and path alone; what is stored, by the origin too.
  await using webproxy = await Webproxy.start({ args: ["--config", config.path, "--hot", "0"] });
  const ask = async () => {
    let body = "";
    const onBody = (chunk: Uint8Array) => {
      body += Buffer.from(chunk).toString("latin1");
    };
    const { head } = await http(webproxy.http, "/page.txt", { onBody });
    return { body, cache: field(head, "cache-status")?.replace(/^webproxy; (\w+).*/, "$1") };
  };
  expect(await ask()).toEqual({ body: "before", cache: "fwd" });
  expect(await ask()).toEqual({ body: "before", cache: "hit" });
  const { host } = new URL((await webproxy.stats()).origins[0]!.origin);
  const listening = listenersOf(webproxy.pid);
  config.write(configFor("after", tlsKey));
  await reload(webproxy, REFUSED);
  expect(await ask()).toEqual({ body: "before", cache: "hit" });
  // Nobody serves the directory that has not come to be an origin; the other one is ended only when no site has it.
  expect(listenersOf(webproxy.pid)).toEqual(listening);
  // The origin that is embedded for the directory is still the one whose responses are stored.
  config.write(configFor("before", tlsCert));
  await reload(webproxy, USED);
  expect(await ask()).toEqual({ body: "before", cache: "hit" });
  expect(listenersOf(webproxy.pid)).toEqual(listening);
  // Nor is it another one when it has been away, and is back before that.
  config.write(configFor("after", tlsCert));
  await reload(webproxy, USED);
  config.write(configFor("before", tlsCert));
  await reload(webproxy, USED);
  expect((await webproxy.stats()).origins.map(({ origin }) => new URL(origin).host)).toEqual([host]);
}, 120_000);

/** Where a process listens, by TCP: addresses as /proc/net/tcp has them. */
function listenersOf(pid: number): string[] {
  const descriptors = `/proc/${pid}/fd`;
  const links = readdirSync(descriptors).map((fd) => {
    try {
      return readlinkSync(`${descriptors}/${fd}`);
    } catch {
      return ""; // closed since
    }
  });
  const [, ...lines] = readFileSync(`/proc/${pid}/net/tcp`, "latin1").trim().split("\n");
  const sockets = lines.map((line) => line.trim().split(/\s+/));
  return sockets
    .filter(([, , , state, , , , , , inode]) => state === "0A" && links.includes(`socket:[${inode}]`))
    .map(([, address]) => address!)
    .sort();
}

async function reload(webproxy: Webproxy, says: string): Promise<void> {
  const before = webproxy.stderr.length;
  webproxy.kill("SIGHUP");
  const what = () => `"${says}" in what it has said since: ${webproxy.stderr.slice(before)}`;
  await eventually(PATIENCE_MS, what, () => webproxy.stderr.slice(before).includes(says));
}

/** Clients that ask again and again, each on its connection or each time on a new one. What fails is kept. */
class Load {
  served = 0;
  readonly failures: string[] = [];
  readonly #port: number;
  readonly #clients: Promise<void>[];
  #isOver = false;

  constructor(port: number) {
    this.#port = port;
    this.#clients = [
      ...Array.from({ length: KEEPING }, (_, client) => this.#repeat(client, "keeps")),
      ...Array.from({ length: COMING }, (_, client) => this.#repeat(client, "comes")),
    ];
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#clients);
  }

  /** One failure is enough: what comes after it would only be more of it. */
  async #repeat(first: number, how: "keeps" | "comes"): Promise<void> {
    let client: TlsClient | undefined;
    try {
      for (let request = first; !this.#isOver; request++) {
        client ??= await TlsClient.connect(this.#port);
        const file = request % FILES.length;
        expect(sha256(await client.get(FILES[file]!.path))).toBe(SUMS[file]!);
        this.served++;
        await Bun.sleep(THINKS_MS);
        if (how === "keeps") continue;
        client.close();
        client = undefined;
      }
    } catch (error) {
      this.failures.push(`A client that ${how}: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      client?.close();
    }
  }
}

async function certificateOf(port: number): Promise<string> {
  const client = await TlsClient.connect(port);
  client.close();
  return client.fingerprint;
}

/** One connection over TLS, one request after the other. */
class TlsClient {
  readonly fingerprint: string;
  readonly #socket: TLSSocket;
  #received: Buffer[] = [];
  #bytes = 0;
  #failure: Error | undefined;
  #wake = Promise.withResolvers<void>();

  private constructor(socket: TLSSocket) {
    this.#socket = socket;
    this.fingerprint = socket.getPeerCertificate().fingerprint256;
    socket.on("data", (chunk: Buffer) => {
      this.#received.push(chunk);
      this.#bytes += chunk.length;
      this.#wake.resolve();
    });
    const fail = (why: string) => {
      this.#failure ??= new Error(why);
      this.#wake.resolve();
    };
    socket.on("error", ({ message }) => fail(message));
    socket.on("close", () => fail("the connection was closed"));
  }

  static async connect(port: number): Promise<TlsClient> {
    const ready = Promise.withResolvers<void>();
    const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false }, ready.resolve);
    socket.on("error", ready.reject);
    await within(PATIENCE_MS, "a connection over TLS", ready.promise);
    return new TlsClient(socket);
  }

  /** The body; a status other than 200 is an error. */
  async get(path: string): Promise<Buffer> {
    this.#socket.write(`GET ${path} HTTP/1.1\r\nHost: a.test\r\n\r\n`);
    let end = -1;
    while (end < 0) {
      await this.#more();
      end = this.#all.indexOf("\r\n\r\n");
    }
    const head = this.#all.toString("latin1", 0, end + 4);
    const length = Number(field(head, "content-length"));
    if (!head.startsWith("HTTP/1.1 200 ") || Number.isNaN(length)) throw new Error(`The answer was ${head}`);
    while (this.#bytes < end + 4 + length) await this.#more();
    const body = this.#all.subarray(end + 4);
    this.#received = [];
    this.#bytes = 0;
    return body;
  }

  close(): void {
    this.#socket.destroy();
  }

  get #all(): Buffer {
    this.#received = [Buffer.concat(this.#received)];
    return this.#received[0]!;
  }

  async #more(): Promise<void> {
    await within(PATIENCE_MS, "a response over TLS", this.#wake.promise);
    if (this.#failure !== undefined) throw this.#failure;
    this.#wake = Promise.withResolvers<void>();
  }
}
