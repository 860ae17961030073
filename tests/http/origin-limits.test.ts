/** How many connections an origin gets, and how long it is waited for, as the command line says. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { field } from "../support/http-client.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";
import { RawOrigin, Wire } from "./wire.ts";

setDefaultTimeout(60_000);

const OFFER = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const SWITCH = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

async function answer(wire: Wire): Promise<void> {
  for (;;) {
    const head = await wire.head().catch(() => undefined);
    if (head === undefined) return;
    if (head.startsWith("GET /ws")) return void (await wire.send(SWITCH));
    if (head.startsWith("POST /silent")) return;
    if (head.startsWith("POST /stalls")) return void (await wire.send(`${OK.slice(0, -1)}`));
    if (head.startsWith("POST /slow")) await wire.exactly(Number(field(head, "content-length"))).catch(() => "");
    await wire.send(OK);
  }
}

test("tunnels take nobody's connection; requests that last have as many as --origin-connections, and who finds none is told so", async () => {
  using origin = new RawOrigin(answer);
  const args = ["--threads", "1", "--origin-connections", "2"];
  await using webproxy = await Webproxy.start({ origin: origin.url, args });
  const clients: Wire[] = [];
  const connect = async () => {
    const client = await Wire.connect(webproxy.http);
    clients.push(client);
    return client;
  };
  const post = async () => {
    const client = await connect();
    await client.send("POST /x HTTP/1.1\r\nHost: a\r\n\r\n");
    return client.head();
  };
  try {
    for (let index = 0; index < 6; index++) {
      const client = await connect();
      await client.send(OFFER);
      expect(await client.head()).toStartWith("HTTP/1.1 101 ");
    }
    expect(await post()).toStartWith("HTTP/1.1 200 ");
    const slow = [await connect(), await connect()];
    for (const client of slow) await client.send("POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\na");
    await eventually(5_000, "both are at the origin", () => (origin.received.match(/POST \/slow/g) ?? []).length === 2);
    const refused = await post();
    expect([refused.slice(9, 12), field(refused, "proxy-status")]).toEqual([
      "503",
      "webproxy; error=connection_limit_reached",
    ]);
    await slow[0]!.send("12345678");
    expect(await slow[0]!.head()).toStartWith("HTTP/1.1 200 ");
    expect(await post()).toStartWith("HTTP/1.1 200 ");
  } finally {
    for (const client of clients) client.reset();
  }
  origin.check();
});

test("--origin-head-timeout and --origin-idle-timeout: an origin that says nothing is a 504, one that stalls is broken off", async () => {
  using origin = new RawOrigin(answer);
  const args = ["--threads", "1", "--origin-head-timeout", "1", "--origin-idle-timeout", "1"];
  await using webproxy = await Webproxy.start({ origin: origin.url, args });
  using silent = await Wire.connect(webproxy.http);
  await silent.send("POST /silent HTTP/1.1\r\nHost: a\r\n\r\n");
  const head = await silent.head();
  expect([head.slice(9, 12), field(head, "proxy-status")]).toEqual(["504", "webproxy; error=http_response_timeout"]);
  using stalled = await Wire.connect(webproxy.http);
  await stalled.send("POST /stalls HTTP/1.1\r\nHost: a\r\n\r\n");
  expect(await stalled.head()).toStartWith("HTTP/1.1 200 ");
  expect(await stalled.rest()).toBe("o");
});
