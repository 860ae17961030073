/** Clients that read an octet at a time, ask for more than they read, or expect something of what is stored. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { sha256, someBytes } from "../support/bytes.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { http } from "../support/http-client.ts";
import { Webproxy } from "../support/webproxy.ts";
import { Wire } from "./wire.ts";

const BODIES = { "/a": someBytes(7000, 1), "/b": someBytes(3000, 2), "/c": someBytes(0, 3) } as const;
type Path = keyof typeof BODIES;
const PATHS = Object.keys(BODIES) as Path[];
/** Some 800 KB of heads, of which a connection holds 128 KiB at most, and 13 MB of responses, of which the kernel holds some. */
const PIPELINED = 4000;
const PIPELINED_MIB_MAX = 48;
/** Reads by recv(2) of one octet, with as small a buffer as the kernel has. */
const OCTET_READER = `
import hashlib, socket, sys
client = socket.socket()
client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
client.connect(("127.0.0.1", int(sys.argv[1])))
for octet in (sys.argv[2] + "\\r\\n\\r\\n").encode():
    client.send(bytes([octet]))
got = b""
while octet := client.recv(1):
    got += octet
print(hashlib.sha256(got[got.index(b"\\r\\n\\r\\n") + 4:]).hexdigest())
`;

let origin: CountingOrigin;
let webproxy: Webproxy;
beforeAll(async () => {
  origin = CountingOrigin.start();
  for (const path of PATHS) origin.set(path, { body: BODIES[path], headers: { "Cache-Control": "max-age=600" } });
  webproxy = await Webproxy.start({ origin: origin.url, args: ["--threads", "1"] });
  for (const path of PATHS) await http(webproxy.http, path);
}, 60_000);
afterAll(async () => {
  await webproxy?.[Symbol.asyncDispose]();
  await origin?.[Symbol.asyncDispose]();
});

test("14 an expectation is met by a hit, which comes without 100", async () => {
  const client = await Wire.connect(webproxy.http);
  await client.send("GET /b HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n");
  const head = await client.head();
  expect(head).toStartWith("HTTP/1.1 200 OK\r\n");
  expect(head).toContain("; hit");
  expect(sha256(Buffer.from(await client.exactly(BODIES["/b"].length), "latin1"))).toBe(sha256(BODIES["/b"]));
  await client.send("GET /b HTTP/1.1\r\nHost: a\r\nExpect: magic\r\n\r\n");
  expect(await client.head()).toStartWith("HTTP/1.1 417 ");
  client.close();
});

test("16 of more pipelined requests than it reads responses a client has few held for it, and all are answered in order", async () => {
  const { pid } = (await webproxy.stats()).proxy!;
  const residentMiB = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "latin1"))![1]) / 1024;
  const order = Array.from({ length: PIPELINED }, (_, index) => PATHS[(index * index + index) % PATHS.length]!);
  const client = await Wire.connect(webproxy.http);
  client.pause();
  const before = residentMiB();
  const sending = client.send(
    order.map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\nX-Filler: ${"x".repeat(150)}\r\n\r\n`).join(""),
  );
  await Bun.sleep(1500); // as far as it goes while nobody reads
  expect(residentMiB() - before).toBeLessThan(PIPELINED_MIB_MAX);
  client.resume();
  for (const path of order) {
    expect(await client.head()).toContain(`Content-Length: ${BODIES[path].length}\r\n`);
    if (BODIES[path].length > 0) await client.exactly(BODIES[path].length);
  }
  await sending;
  client.close();
}, 60_000);

test.each(PATHS)(
  "22 a client that sends and reads an octet at a time: %s",
  async (path) => {
    const request = `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close`;
    const child = Bun.spawn(["python3", "-c", OCTET_READER, String(webproxy.http.port), request], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    expect((await new Response(child.stdout).text()).trim()).toBe(sha256(BODIES[path]));
  },
  30_000,
);
