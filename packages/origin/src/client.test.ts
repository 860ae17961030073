import { describe, expect, test } from "bun:test";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { execPath } from "node:process";
import { Fields } from "@proj/protocol";
import { outcomeOf } from "../test/outcome.ts";
import { OK, scriptedOrigin } from "../test/scripted-origin.ts";
import { withOrigin } from "../test/with-origin.ts";
import { OriginClient } from "./client.ts";

describe("OriginClient.send()", () => {
  test("sends the request as given, with Host in front when absent", async () => {
    await withOrigin(
      (connection) => connection.send(OK),
      async (client, origin) => {
        const fields = Fields.from([
          ["X-One", "1"],
          ["x-two", "\xe4"],
          ["X-One", "3"],
        ]);
        const outcome = await outcomeOf(client, { target: "/a/../b?c#".slice(0, -1), fields });
        expect(outcome.content).toBe("hello");
        expect(outcome.calls).toEqual(["onHead", "onContent", "onEnd"]);
        await outcomeOf(client, { fields: Fields.from([["host", "files.example"]]) });
        expect(origin.requests).toEqual([
          `GET /a/../b?c HTTP/1.1\r\nHost: ${origin.url.host}\r\nX-One: 1\r\nx-two: \xe4\r\nX-One: 3\r\n\r\n`,
          "GET / HTTP/1.1\r\nhost: files.example\r\n\r\n",
        ]);
        expect(fields.has("host")).toBe(false);
        expect(origin.connections).toBe(1);
      },
    );
  });

  test("throws for what it can not send without changing its meaning", async () => {
    const client = new OriginClient({ origin: new URL("http://127.0.0.1:1") });
    const none = new Fields();
    const send = (method: string, target: string, fields: Fields) =>
      client.send({ method, target, fields }, { onHead() {}, onContent() {}, onEnd() {}, onError() {} });
    expect(() => send("GET", "http://h/", none)).toThrow(TypeError);
    expect(() => send("GET", "*", none)).toThrow(TypeError);
    expect(() => send("GET", "/a b", none)).toThrow(TypeError);
    expect(() => send("GET", "/a\r\nHost: h", none)).toThrow(TypeError);
    expect(() => send("GE T", "/", none)).toThrow(TypeError);
    expect(() => send("CONNECT", "/", none)).toThrow(TypeError);
    expect(() => send("GET", "/", Fields.from([["Upgrade", "websocket"]]))).toThrow(TypeError);
    expect(() => send("POST", "/", Fields.from([["Content-Length", "5"]]))).toThrow(TypeError);
    expect(() => send("POST", "/", Fields.from([["Transfer-Encoding", "chunked"]]))).toThrow(TypeError);
    expect(() => new OriginClient({ origin: new URL("ftp://h/") })).toThrow(TypeError);
    client.close();
  });

  test("hands out each framing's content, however the octets are cut", async () => {
    const responses: [sent: string, content: string, closes: boolean][] = [
      [OK, "hello", false],
      ["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", false],
      [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nX-T: 1\r\n\r\n",
        "hello",
        false,
      ],
      ["HTTP/1.1 200 OK\r\n\r\nhello", "hello", true],
      ["HTTP/1.0 200 OK\r\n\r\n", "", true],
      [`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 \r\n\r\n${OK}`, "hello", false],
    ];
    for (const [sent, content, closes] of responses) {
      for (const pieceBytes of [1, 3, 17, sent.length]) {
        await withOrigin(
          async (connection) => {
            for (let at = 0; at < sent.length; at += pieceBytes) {
              connection.send(sent.slice(at, at + pieceBytes));
              connection.socket.flush();
              await Bun.sleep(0);
            }
            if (closes) connection.socket.end();
          },
          async (client) => {
            for (let round = 0; round < 2; round++) {
              const outcome = await outcomeOf(client);
              expect({ sent, pieceBytes, content: outcome.content, error: outcome.error }).toEqual({
                sent,
                pieceBytes,
                content,
                error: undefined,
              });
              expect(outcome.informational.map((head) => head.status)).toEqual(sent.includes("103") ? [103, 100] : []);
              expect(outcome.trailers?.get("x-t")).toBe(sent.includes("X-T") ? "1" : undefined);
            }
            expect(client.stats().connectionsMade).toBe(closes ? 2 : 1);
          },
        );
      }
    }
  });

  test("is served by node:http: 500 exchanges, 16 at a time, over at most 16 connections", async () => {
    const server = createServer((request, response) => {
      const bytes = Number(request.url?.slice(1));
      response.setHeader("X-Url", request.url ?? "");
      if (bytes % 3 === 0) response.setHeader("Content-Length", bytes);
      response.end("x".repeat(bytes));
    });
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    const { port } = server.address() as AddressInfo;
    const client = new OriginClient({ origin: new URL(`http://127.0.0.1:${port}`), limits: { connections: 16 } });
    try {
      const sizes = Array.from({ length: 500 }, (_, i) => (i % 7 === 0 ? 200_000 + i : i));
      const outcomes = await Promise.all(sizes.map((bytes) => outcomeOf(client, { target: `/${bytes}` })));
      for (const [i, outcome] of outcomes.entries()) {
        expect(outcome.error).toBeUndefined();
        expect(outcome.head?.fields.get("x-url")).toBe(`/${sizes[i]}`);
        expect(outcome.content).toBe("x".repeat(sizes[i]!));
      }
      const stats = client.stats();
      expect(stats.connectionsMade).toBeLessThanOrEqual(16);
      expect(stats.waitingExchanges).toBe(0);
      expect(stats.exchanges).toBe(500);
    } finally {
      client.close();
      server.closeAllConnections();
      server.close();
    }
  });
});

describe("OriginExchange.abort()", () => {
  test("closes that connection only, and no handler is called afterwards", async () => {
    const gone: number[] = [];
    await withOrigin(
      (connection, request) => {
        const drip = setInterval(() => {
          if (connection.socket.write("x") === -1) {
            clearInterval(drip);
            gone.push(connection.index);
          }
        }, 5);
        connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${request.includes("/short") ? 40 : 1_000_000}\r\n\r\n`);
      },
      async (client) => {
        const other = outcomeOf(client, { target: "/short" });
        let calls = 0;
        const aborted = Promise.withResolvers<void>();
        const exchange = client.send(
          { method: "GET", target: "/", fields: new Fields() },
          {
            onHead: () => {},
            onContent: () => {
              calls++;
              exchange.abort();
              aborted.resolve();
            },
            onEnd: () => calls++,
            onError: () => calls++,
          },
        );
        await aborted.promise;
        exchange.abort();
        exchange.pause();
        exchange.resume();
        expect((await other).content).toBe("x".repeat(40));
        expect(calls).toBe(1);
        expect(client.stats().connections).toBe(1);
        while (gone.length === 0) await Bun.sleep(5);
      },
    );
  });

  test("in onInformational, in onHead, and while it waits for a connection", async () => {
    await withOrigin(
      (connection) => connection.send(`HTTP/1.1 103 Early Hints\r\n\r\n${OK}`),
      async (client) => {
        for (const when of ["onInformational", "onHead"] as const) {
          const calls: string[] = [];
          const told = Promise.withResolvers<void>();
          const report = (name: string) => () => {
            calls.push(name);
            if (name !== when) return;
            exchange.abort();
            told.resolve();
          };
          const exchange = client.send(
            { method: "GET", target: "/", fields: new Fields() },
            {
              onInformational: report("onInformational"),
              onHead: report("onHead"),
              onContent: report("onContent"),
              onEnd: report("onEnd"),
              onError: report("onError"),
            },
          );
          await told.promise;
          await Bun.sleep(10);
          expect(calls.at(-1)).toBe(when);
          expect(client.stats().connections).toBe(0);
        }
        const waiting = client.send(
          { method: "GET", target: "/", fields: new Fields() },
          { onHead: failCall, onContent: failCall, onEnd: failCall, onError: failCall },
        );
        waiting.abort();
        expect(client.stats().waitingExchanges).toBe(0);
        expect((await outcomeOf(client)).content).toBe("hello");
      },
    );
  });
});

test("OriginClient.close() fails what is under way and what is sent later, each once", async () => {
  await withOrigin(
    () => {},
    async (client) => {
      const underWay = [outcomeOf(client), outcomeOf(client), outcomeOf(client)];
      while (client.stats().connecting > 0) await Bun.sleep(1);
      client.close();
      const later = outcomeOf(client);
      const codes = (await Promise.all([...underWay, later])).map((outcome) => outcome.error?.code);
      expect(codes).toEqual(Array(4).fill("ERR_ORIGIN_CLOSED"));
      expect(client.stats()).toMatchObject({ connections: 0, waitingExchanges: 0 });
    },
    { limits: { connections: 2 } },
  );
});

test("what a handler throws ends the thread that it belongs to, and is not swallowed", async () => {
  using origin = scriptedOrigin((connection) => connection.send(OK));
  const thread = join(import.meta.dir, "../test/throwing-handler.ts");
  const process = Bun.spawn([execPath, thread, origin.url.href], { stdout: "ignore", stderr: "pipe" });
  expect(await process.exited).not.toBe(0);
  expect(await process.stderr.text()).toContain("thrown by a handler");
});

const HAS_IPV6 = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === "::1"),
);

test.skipIf(!HAS_IPV6)("an origin whose address is IPv6 is asked", async () => {
  const server = Bun.listen({
    hostname: "::1",
    port: 0,
    socket: { data: (socket) => void socket.write(OK), error() {} },
  });
  const client = new OriginClient({ origin: new URL(`http://[::1]:${server.port}`) });
  try {
    expect((await outcomeOf(client)).content).toBe("hello");
  } finally {
    client.close();
    server.stop(true);
  }
});

function failCall(): never {
  throw new Error("A handler was called after abort()");
}
