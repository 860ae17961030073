import { afterEach, describe, expect, test } from "bun:test";
import { Fields, type ResponseHead } from "@proj/protocol";
import type { Socket } from "bun";
import { OriginClient, type OriginError, type OriginExchange } from "./index.ts";

const OFFER = Fields.from([
  ["Connection", "Upgrade"],
  ["Upgrade", "echo"],
]);
const SWITCH = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
const open: Disposable[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one[Symbol.dispose]();
});

/** An origin that answers the first head with `answer`, then hands every read to `onBytes`. */
function origin(answer: string, onBytes: (socket: Socket<{ head: string }>, bytes: Buffer) => void) {
  const server = Bun.listen<{ head: string }>({
    hostname: "127.0.0.1",
    port: 0,
    allowHalfOpen: true,
    socket: {
      open: (socket) => {
        socket.data = { head: "" };
      },
      data(socket, chunk) {
        if (socket.data.head.includes("\r\n\r\n")) return onBytes(socket, chunk);
        socket.data.head += chunk.toString("latin1");
        if (!socket.data.head.includes("\r\n\r\n")) return;
        socket.write(answer);
        const rest = socket.data.head.slice(socket.data.head.indexOf("\r\n\r\n") + 4);
        if (rest !== "") onBytes(socket, Buffer.from(rest, "latin1"));
      },
      end: (socket) => {
        socket.end("bye");
      },
      error() {},
    },
  });
  open.push({ [Symbol.dispose]: () => server.stop(true) });
  return new URL(`http://127.0.0.1:${server.port}`);
}

interface Tunnel {
  exchange: OriginExchange;
  switched: Promise<ResponseHead>;
  over: Promise<OriginError | undefined>;
  received(): string;
}

function offer(url: URL, fields = OFFER, onSwitched: (exchange: OriginExchange) => void = () => {}): Tunnel {
  const client = new OriginClient({ origin: url });
  open.push({ [Symbol.dispose]: () => client.close() });
  const switched = Promise.withResolvers<ResponseHead>();
  const over = Promise.withResolvers<OriginError | undefined>();
  let received = "";
  const exchange = client.send(
    { method: "GET", target: "/", fields, offersUpgrade: true },
    {
      onSwitch(head) {
        switched.resolve(head);
        onSwitched(exchange);
      },
      onHead: (head) => switched.reject(new Error(`Not switched: ${head.status}`)),
      onContent(chunk) {
        received += Buffer.from(chunk).toString("latin1");
      },
      onEnd: () => over.resolve(undefined),
      onError(error) {
        switched.reject(error);
        over.resolve(error);
      },
    },
  );
  switched.promise.catch(() => {});
  return { exchange, switched: switched.promise, over: over.promise, received: () => received };
}

describe("a tunnel after 101", () => {
  test("carries octets both ways, in order, and ends when both sides have", async () => {
    const url = origin(`${SWITCH}hello `, (socket, bytes) => void socket.write(bytes));
    const tunnel = offer(url, OFFER, (exchange) => void exchange.write(Buffer.from("one ")));
    expect((await tunnel.switched).status).toBe(101);
    while (!tunnel.received().endsWith("one ")) await Bun.sleep(1);
    tunnel.exchange.write(Buffer.from("two "));
    tunnel.exchange.endContent();
    expect(await tunnel.over).toBeUndefined();
    expect(tunnel.received()).toBe("hello one two bye");
  });

  test("holds back what the origin does not take, and says when there is room", async () => {
    let taken = 0;
    let slow: Socket<{ head: string }> | undefined;
    const url = origin(SWITCH, (socket, bytes) => {
      taken += bytes.length;
      if (slow !== undefined) return;
      slow = socket;
      socket.pause();
    });
    const client = new OriginClient({ origin: url });
    open.push({ [Symbol.dispose]: () => client.close() });
    const drained = Promise.withResolvers<void>();
    const switched = Promise.withResolvers<void>();
    const over = Promise.withResolvers<void>();
    const exchange = client.send(
      { method: "GET", target: "/", fields: OFFER, offersUpgrade: true },
      {
        onSwitch: () => switched.resolve(),
        onDrain: () => drained.resolve(),
        onHead() {},
        onContent() {},
        onEnd: () => over.resolve(),
        onError: (error) => over.reject(error),
      },
    );
    await switched.promise;
    const chunk = new Uint8Array(1024 * 1024);
    let sent = 0;
    let mayGoOn = true;
    for (; mayGoOn && sent < 256; sent++) mayGoOn = exchange.write(chunk);
    expect(mayGoOn).toBe(false);
    while (slow === undefined) await Bun.sleep(1);
    slow.resume();
    await drained.promise;
    exchange.endContent();
    await over.promise;
    expect(taken).toBe(sent * chunk.length);
  });

  test("is reported when the origin resets it", async () => {
    const url = origin(SWITCH, (socket) => socket.terminate());
    const tunnel = offer(url);
    await tunnel.switched;
    tunnel.exchange.write(Buffer.from("x"));
    expect(await tunnel.over).toMatchObject({ code: "ERR_ORIGIN_CUT_SHORT", headSeen: true });
  });

  test("an origin that does not take the offer answers like any other", async () => {
    const tunnel = offer(origin("HTTP/1.1 426 No\r\nContent-Length: 2\r\n\r\nno", () => {}));
    await expect(tunnel.switched).rejects.toThrow("Not switched: 426");
    expect(await tunnel.over).toBeUndefined();
    expect(tunnel.received()).toBe("no");
  });
});

test("OriginClient.send() takes Upgrade only where it is offered, and never with content", () => {
  const client = new OriginClient({ origin: new URL("http://127.0.0.1:1") });
  const handler = { onHead() {}, onContent() {}, onEnd() {}, onError() {} };
  const send = (fields: Fields, more: object) => () =>
    client.send({ method: "GET", target: "/", fields, ...more }, handler);
  expect(send(OFFER, {})).toThrow(TypeError);
  expect(send(new Fields(), { offersUpgrade: true })).toThrow(TypeError);
  const framed = Fields.from([...OFFER, ["Content-Length", "1"]]);
  expect(send(framed, { offersUpgrade: true, hasContent: true })).toThrow(TypeError);
  client.close();
});
