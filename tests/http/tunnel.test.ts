/** WebSocket through the proxy: a real client and a real server, and those that do what no library does. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { sha256, someBytes } from "../support/bytes.ts";
import { field } from "../support/http-client.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually, within } from "../support/within.ts";
import { RawOrigin, Wire } from "./wire.ts";

const OFFER = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n";
const SWITCH = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nX-A: 1\r\n\r\n";

describe("Bun's WebSocket client and server", () => {
  let server: Bun.Server<undefined>;
  let webproxy: Webproxy;
  beforeAll(async () => {
    server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: (request, server) => (server.upgrade(request) ? undefined : new Response("plain")),
      websocket: {
        maxPayloadLength: 64 * 1024 * 1024,
        backpressureLimit: 1024 * 1024 * 1024,
        message(socket, message) {
          if (message === "close") socket.close(4001, "as asked");
          else socket.send(message);
        },
      },
    });
    webproxy = await Webproxy.start({ origin: `http://127.0.0.1:${server.port}` });
  }, 40_000);
  afterAll(async () => {
    await webproxy?.[Symbol.asyncDispose]();
    await server?.stop(true);
  });

  async function connect(): Promise<WebSocket> {
    const socket = new WebSocket(`ws://${webproxy.http.host}:${webproxy.http.port}/ws`);
    socket.binaryType = "arraybuffer";
    const opened = Promise.withResolvers<void>();
    socket.onopen = () => opened.resolve();
    socket.onerror = () => opened.reject(new Error("No WebSocket"));
    await within(10_000, "the WebSocket opens", opened.promise);
    return socket;
  }

  test("messages of every size come back as they were sent, on several sockets at a time", async () => {
    const sockets = await Promise.all(Array.from({ length: 8 }, connect));
    const sizes = [0, 1, 125, 126, 65_535, 65_536, 1_000_000, 8_000_000];
    await Promise.all(
      sockets.map(async (socket, index) => {
        const received: string[] = [];
        const all = Promise.withResolvers<void>();
        socket.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => {
          received.push(sha256(new Uint8Array(data)));
          if (received.length === sizes.length) all.resolve();
        };
        const messages = sizes.map((size, seed) => someBytes(size, seed + index));
        for (const message of messages) socket.send(message);
        await within(20_000, "all messages", all.promise);
        expect(received).toEqual(messages.map(sha256));
        socket.close();
      }),
    );
  }, 40_000);

  test("the close that the server sends arrives", async () => {
    const socket = await connect();
    const closed = Promise.withResolvers<CloseEvent>();
    socket.onclose = (event) => closed.resolve(event);
    socket.send("close");
    expect(await within(10_000, "the close", closed.promise)).toMatchObject({ code: 4001, reason: "as asked" });
  });

  test("SIGTERM does not wait for tunnels", async () => {
    await using own = await Webproxy.start({ origin: `http://127.0.0.1:${server.port}` });
    using client = await Wire.connect(own.http);
    await client.send(
      OFFER.replace("\r\n\r\n", "\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"),
    );
    expect(await client.head()).toStartWith("HTTP/1.1 101 ");
    const [ended] = await Promise.all([own.stop(), client.closed()]);
    expect(ended.exitCode).toBe(0);
  }, 30_000);
});

/** A `webproxy` before an origin that is driven by `script`. */
async function withOrigin(
  script: (wire: Wire, index: number) => Promise<void>,
  run: (client: Wire, origin: RawOrigin) => Promise<void>,
): Promise<void> {
  using origin = new RawOrigin(script);
  await using webproxy = await Webproxy.start({ origin: origin.url, args: ["--threads", "1"] });
  using client = await Wire.connect(webproxy.http);
  await run(client, origin);
  origin.check();
}

describe("the switch", () => {
  test("passes fields of the connection anew, then octets both ways until both have ended", async () => {
    await withOrigin(
      async (wire) => {
        const head = await wire.head();
        expect([field(head, "upgrade"), field(head, "connection")]).toEqual(["websocket", "Upgrade"]);
        await wire.send(`${SWITCH}first `);
        expect(await wire.rest()).toBe("up GET / HTTP/1.1\r\n\r\n");
        await wire.send("last");
        wire.close();
      },
      async (client) => {
        await client.send(OFFER);
        const head = await client.head();
        expect([field(head, "upgrade"), field(head, "connection"), field(head, "x-a")]).toEqual([
          "websocket",
          "Upgrade",
          "1",
        ]);
        await client.send("up GET / HTTP/1.1\r\n\r\n"); // no request any more
        await client.through("first ");
        client.end();
        expect(await client.rest()).toBe("last");
      },
    );
  });

  test("15 what is sent with the offer waits for the 101", async () => {
    await withOrigin(
      async (wire) => {
        await wire.head();
        await Bun.sleep(100);
        expect(wire.unread).toBe("");
        await wire.send(SWITCH);
        expect(await wire.exactly(5)).toBe("early");
        await wire.send("late!");
      },
      async (client) => {
        await client.send(`${OFFER}early`);
        await client.head();
        expect(await client.exactly(5)).toBe("late!");
      },
    );
  });

  test.each([
    ["a refusal", "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nno", "426"],
    ["a switch to what was not offered", SWITCH.replace("websocket", "h2c"), "502"],
    ["the end of the connection", "", "502"],
    ["what can not be read", "HTTP/1.1 nonsense\r\n\r\n", "502"],
  ])(
    "15 and goes nowhere when there is none, but %s: not to the origin, and not as a request",
    async (_, answer: string, status: string) => {
      await withOrigin(
        async (wire, index) => {
          if (index > 0) return wire.close(); // a GET whose connection has ended is sent again
          await wire.head();
          await wire.send(answer);
          if (answer === "") return wire.close();
          await Bun.sleep(100);
          expect(wire.unread).toBe("");
        },
        async (client, origin) => {
          await client.send(`${OFFER}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`);
          const head = await client.head();
          expect([head.slice(9, 12), field(head, "connection")?.split(",")[0]]).toEqual([status, "close"]);
          // RFC 9110 section 15.5.22: a 426 says what it asks for.
          expect(field(head, "upgrade")).toBe(status === "426" ? "websocket" : undefined);
          expect(await client.rest()).not.toContain("HTTP/1.1");
          expect(origin.received).not.toContain("smuggled");
        },
      );
    },
  );

  test("to a protocol that was not offered, or that nobody asked for, is a 502", async () => {
    for (const [request, answer] of [
      [OFFER, SWITCH.replace("websocket", "h2c")],
      ["POST / HTTP/1.1\r\nHost: a\r\n\r\n", SWITCH],
      [OFFER.replace("websocket", "h2c"), SWITCH.replace("websocket", "h2c")],
    ] as const) {
      await withOrigin(
        async (wire) => {
          const head = await wire.head();
          if (request !== OFFER) expect(field(head, "upgrade")).toBeUndefined();
          await wire.send(answer);
        },
        async (client) => {
          await client.send(request);
          expect(await client.head()).toStartWith("HTTP/1.1 502 ");
        },
      );
    }
  });

  test("a client that leaves a tunnel, and an origin that breaks it, end it on the other side", async () => {
    await withOrigin(
      async (wire) => {
        await wire.head();
        await wire.send(SWITCH);
        await wire.closed();
      },
      async (client, origin) => {
        await client.send(OFFER);
        await client.head();
        client.reset();
        await eventually(5_000, "the origin's side is closed", () => origin.wires[0]!.ended !== "no");
      },
    );
    await withOrigin(
      async (wire) => {
        await wire.head();
        await wire.send(SWITCH);
        await wire.exactly(1);
        wire.reset();
      },
      async (client) => {
        await client.send(OFFER);
        await client.head();
        await client.send("x");
        await client.closed();
      },
    );
  });
});
