/** An origin whose name has several addresses, of which some are dead: happy eyeballs (RFC 8305), by the platform, through the cache and past it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { field, http } from "../support/http-client.ts";
import { CAN_MOUNT } from "../support/ordinary-user.ts";
import { TempDirectory } from "../support/temp-directory.ts";
import { Webproxy } from "../support/webproxy.ts";

/** Listens with a queue of one, which is full: what comes gets no answer, as from a machine that is gone. Ends when its standard input does. */
const BLACK_HOLE = `
import socket, sys
listener = socket.socket()
listener.bind(("127.0.0.8", int(sys.argv[1])))
listener.listen(0)
waiting = []
for _ in range(3):
    client = socket.socket()
    client.setblocking(False)
    client.connect_ex(("127.0.0.8", int(sys.argv[1])))
    waiting.append(client)
print("full", flush=True)
sys.stdin.read()
`;

const answer = (request: Request) => new Response(`${request.method} at ${request.headers.get("host")}`);

let origin: Bun.Server<undefined>;
let hole: Bun.Subprocess<"pipe", "pipe", "inherit">;
let files: TempDirectory;
beforeAll(async () => {
  files = new TempDirectory();
  origin = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: answer });
  hole = Bun.spawn(["python3", "-c", BLACK_HOLE, String(origin.port)], { stdio: ["pipe", "pipe", "inherit"] });
  const { value } = await hole.stdout.getReader().read();
  expect(Buffer.from(value!).toString()).toStartWith("full"); // the line feed may come by itself
}, 30_000);
afterAll(async () => {
  hole?.stdin.end();
  await hole?.exited;
  await origin?.stop(true);
  files?.[Symbol.dispose]();
}, 30_000);

async function expectServed(webproxy: Webproxy, host: string): Promise<void> {
  for (const method of ["GET", "DELETE"]) {
    let body = "";
    const onBody = (chunk: Uint8Array) => {
      body += Buffer.from(chunk).toString();
    };
    const { status, head } = await http(webproxy.http, "/", { method, onBody });
    expect({ status, body, error: field(head, "proxy-status") }).toEqual({
      status: "200",
      body: `${method} at ${host}`,
      error: undefined,
    });
  }
}

// REFUSING: nobody listens there. LOST: no answer ever.
const [REFUSING, REFUSING_6, LOST, LIVE] = ["127.0.0.9", "::1", "127.0.0.8", "127.0.0.1"] as const;

test.skipIf(!CAN_MOUNT).each([[[REFUSING_6, LIVE]], [[LOST, LIVE]], [[REFUSING_6, LOST, REFUSING, LIVE]]])(
  "a name that is %p, of which one answers (skipped unless root may mount)",
  async (addresses) => {
    const hosts = files.file(`hosts-${addresses.join("-")}`);
    writeFileSync(hosts, addresses.map((address) => `${address} several.test\n`).join(""));
    await using webproxy = await Webproxy.start({
      origin: `http://several.test:${origin.port}`,
      wrap: ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', hosts],
      args: ["--threads", "1"],
    });
    await expectServed(webproxy, `several.test:${origin.port}`);
  },
  60_000,
);

test("localhost, which most machines have as ::1 too, with an origin at one of them; and ::1 itself", async () => {
  using six = Bun.serve({ hostname: "::1", port: 0, fetch: answer });
  for (const url of [`http://localhost:${origin.port}`, `http://localhost:${six.port}`, `http://[::1]:${six.port}`]) {
    await using webproxy = await Webproxy.start({ origin: url, args: ["--threads", "1"] });
    await expectServed(webproxy, new URL(url).host);
  }
}, 60_000);
