/** RFC 9209: what a client is told of an origin that fails, whether the request goes through the cache or past it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { ConfigFile } from "../config/support.ts";
import { makeCertificate } from "../support/certificate.ts";
import { field, http } from "../support/http-client.ts";
import { TempDirectory } from "../support/temp-directory.ts";
import { Webproxy } from "../support/webproxy.ts";
import { RawOrigin, type Wire } from "./wire.ts";

type Script = (wire: Wire) => Promise<void>;

const answers =
  (octets: string): Script =>
  async (wire) => {
    await wire.head();
    await wire.send(octets);
    wire.close();
  };

const saysToHello =
  (octets: string | Uint8Array): Script =>
  async (wire) => {
    await wire.exactly(5);
    await wire.send(octets);
    wire.close();
  };

/** handshake_failure (RFC 8446 section 6.2), in place of a ServerHello. */
const ALERT = Buffer.from([21, 3, 3, 0, 2, 2, 40]);

/** What is at the other end, what it speaks, and the answer: RFC 9209 section 2.3. */
const ORIGINS: readonly [name: string, scheme: "http" | "https", Script, status: string, error: string][] = [
  ["closes", "http", answers(""), "502", "connection_terminated"],
  ["closes in its head", "http", answers("HTTP/1.1 200 OK\r\nContent-"), "502", "http_response_incomplete"],
  [
    "two lengths",
    "http",
    answers("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n1"),
    "502",
    "http_protocol_error",
  ],
  [
    "another coding",
    "http",
    answers("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
    "502",
    "http_response_transfer_coding",
  ],
  ["never answers a handshake", "https", async (wire) => void (await wire.closed()), "504", "connection_timeout"],
  ["alert", "https", saysToHello(ALERT), "502", "tls_alert_received"],
  ["no TLS", "https", saysToHello("HTTP/1.1 400 No\r\n\r\n"), "502", "tls_protocol_error"],
];

const files = new TempDirectory();
const origins = ORIGINS.map(([, , script]) => new RawOrigin(script));
let secure: Bun.Server<undefined>;
let config: ConfigFile;
let webproxy: Webproxy;

/** Each is a site of its own, by its host. */
const hosts = new Map<string, { origin: string; status: string; error: RegExp }>();

beforeAll(async () => {
  const { cert, key } = makeCertificate(files, "one.test");
  secure = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    tls: { cert: Bun.file(cert), key: Bun.file(key) },
    fetch: () => new Response("nobody gets this"),
  });
  const gone = new RawOrigin(async () => {});
  gone[Symbol.dispose]();
  ORIGINS.forEach(([name, scheme, , status, error], index) => {
    const origin = origins[index]!.url.replace("http", scheme);
    hosts.set(`${name.replaceAll(" ", "-").toLowerCase()}.test`, { origin, status, error: new RegExp(`^${error}$`) });
  });
  hosts.set("gone.test", { origin: gone.url, status: "502", error: /^connection_refused$/ });
  hosts.set("unsigned.test", {
    origin: `https://127.0.0.1:${secure.port}`,
    status: "502",
    error: /^tls_certificate_error$/,
  });
  // Without a name server that is to be reached it can be either.
  hosts.set("nameless.test", { origin: "http://nobody.invalid", status: "50", error: /^dns_(error|timeout)$/ });
  const sites = [...hosts].map(([host, { origin }], index) => ({ name: `site-${index}`, hosts: host, origin }));
  config = new ConfigFile({ sites });
  webproxy = await Webproxy.start({ args: ["--config", config.path, "--threads", "1"] });
}, 60_000);

afterAll(async () => {
  await webproxy?.[Symbol.asyncDispose]();
  for (const origin of origins) origin[Symbol.dispose]();
  await secure?.stop(true);
  config?.[Symbol.dispose]();
  files[Symbol.dispose]();
}, 60_000);

test("every way an origin can fail has the error type of its own, through the cache and past it", async () => {
  const asked = [...hosts].flatMap(([host, expected]) =>
    ["GET", "DELETE"].map(async (method) => {
      const { status, head } = await http(webproxy.http, "/", { method, headers: { Host: host } });
      const said = field(head, "proxy-status") ?? "";
      expect({ host, method, status }).toEqual({ host, method, status: expect.stringContaining(expected.status) });
      expect({ host, method, said }).toEqual({
        host,
        method,
        said: expect.stringMatching(new RegExp(expected.error.source.replace("^", "^webproxy; error="))),
      });
    }),
  );
  const failed = (await Promise.allSettled(asked)).filter((result) => result.status === "rejected");
  expect(failed.map(({ reason }) => String(reason))).toEqual([]);
}, 60_000);
