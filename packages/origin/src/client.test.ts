import { describe, expect, test } from "bun:test";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { execPath } from "node:process";
import { Fields } from "@proj/protocol";
import { outcomeOf } from "../test/outcome.ts";
import { type ScriptedConnection, scriptedOrigin } from "../test/scripted-origin.ts";
import { OriginClient } from "./client.ts";
import { REST_MS } from "./limits.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/** A client of a scripted origin; both are gone when `run` is. */
async function withOrigin(
  script: (connection: ScriptedConnection, request: string) => void,
  run: (client: OriginClient, origin: ReturnType<typeof scriptedOrigin>) => Promise<void>,
  options: Omit<ConstructorParameters<typeof OriginClient>[0], "origin"> = {},
): Promise<void> {
  using origin = scriptedOrigin(script);
  const client = new OriginClient({ origin: origin.url, ...options });
  try {
    await run(client, origin);
  } finally {
    client.close();
  }
}

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

describe("content that must not be there (CHECKLIST 17, 18)", () => {
  const cases: [name: string, method: string, first: string][] = [
    ["HEAD answered with a body", "HEAD", OK],
    ["204 with a body", "GET", "HTTP/1.1 204 No Content\r\n\r\nhello"],
    ["304 with a body", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello"],
    ["204 with a length and no body", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"],
    ["304 with a length and no body", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"],
    ["HEAD answered in chunks, without any", "HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ["two responses to one request", "GET", OK + OK.replace("hello", "wrong")],
    ["more content than announced", "GET", `${OK}HTTP`],
  ];
  for (const [name, method, first] of cases) {
    test(`${name}: dropped, and the connection not reused`, async () => {
      await withOrigin(
        (connection) => connection.send(connection.index === 0 ? first : OK),
        async (client, origin) => {
          const outcome = await outcomeOf(client, { method });
          expect(outcome.error).toBeUndefined();
          expect(outcome.content).toBe(first.startsWith("HTTP/1.1 200") && method === "GET" ? "hello" : "");
          const next = await outcomeOf(client);
          expect(next.content).toBe("hello");
          expect(origin.connections).toBe(2);
        },
      );
    });
  }

  const WRONG = OK.replace("hello", "wrong");

  test("a body that was announced does not answer the next request, however late it comes", async () => {
    for (const [method, head] of [
      ["HEAD", `HTTP/1.1 200 OK\r\nContent-Length: ${WRONG.length}\r\n\r\n`],
      ["HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
      ["GET", `HTTP/1.1 304 Not Modified\r\nContent-Length: ${WRONG.length}\r\n\r\n`],
      ["DELETE", `HTTP/1.1 204 No Content\r\nContent-Length: ${WRONG.length}\r\n\r\n`],
    ] as const) {
      const asked = (request: string) => request.includes(" /first ");
      let late: (() => void) | undefined;
      await withOrigin(
        (connection, request) => {
          if (asked(request)) connection.send(head);
          // When the next request is there, on whichever connection: later than any time that could be waited.
          late = asked(request) ? () => connection.send(WRONG) : void late?.();
          if (!asked(request)) connection.send(OK);
        },
        async (client) => {
          expect((await outcomeOf(client, { method, target: "/first" })).error).toBeUndefined();
          await Bun.sleep(REST_MS * 3);
          const { content } = await outcomeOf(client);
          expect({ method, head, content }).toEqual({ method, head, content: "hello" });
        },
        { limits: { connections: 1 } },
      );
    }
  });

  test("a body to HEAD that nobody announced and that comes just after its head does not answer the next request", async () => {
    await withOrigin(
      async (connection, request) => {
        if (connection.index > 0 || !request.startsWith("HEAD")) return connection.send(OK);
        connection.send("HTTP/1.1 200 OK\r\n\r\n");
        connection.socket.flush();
        await Bun.sleep(REST_MS / 4);
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong");
      },
      async (client, origin) => {
        const outcomes = await Promise.all([
          outcomeOf(client, { method: "HEAD" }),
          outcomeOf(client),
          outcomeOf(client),
        ]);
        expect(outcomes.map((outcome) => outcome.content)).toEqual(["", "hello", "hello"]);
        expect((await outcomeOf(client)).content).toBe("hello");
        expect(origin.connections).toBeGreaterThan(1);
      },
      { limits: { connections: 2 } },
    );
  });

  test("HEAD, 204 and 304 that announce none leave a connection that is used again", async () => {
    const heads = ["200 OK\r\nContent-Length: 0", "204 No Content", "304 Not Modified\r\nETag: x"];
    await withOrigin(
      (connection, request) => {
        const head = /^HEAD \/(\d)/.exec(request)?.[1];
        connection.send(head === undefined ? OK : `HTTP/1.1 ${heads[Number(head)]}\r\n\r\n`);
      },
      async (client, origin) => {
        for (const index of heads.keys()) {
          await outcomeOf(client, { method: "HEAD", target: `/${index}` });
          await Bun.sleep(REST_MS * 3);
        }
        expect((await outcomeOf(client)).content).toBe("hello");
        expect(origin.connections).toBe(1);
      },
    );
  });
});

describe("responses cut short (CHECKLIST 19)", () => {
  const cases: [name: string, sent: string, end: "end" | "terminate", headSeen: boolean][] = [
    ["before Content-Length", OK.slice(0, -1), "end", true],
    ["before the last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "end", true],
    ["within the trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX", "end", true],
    ["a body until close, by a reset", "HTTP/1.1 200 OK\r\n\r\nhello", "terminate", true],
    ["within the head", "HTTP/1.1 200 OK\r\nContent-", "end", false],
    ["without an answer", "", "end", false],
    ["without an answer, by a reset", "", "terminate", false],
    ["after an informational response only", "HTTP/1.1 100 Continue\r\n\r\n", "end", false],
  ];
  for (const [name, sent, end, headSeen] of cases) {
    test(`${name}: an error, never an end`, async () => {
      await withOrigin(
        (connection) => {
          connection.send(sent);
          setTimeout(() => connection.socket[end](), 20);
        },
        async (client, origin) => {
          const { error, calls } = await outcomeOf(client);
          expect(error?.code).toBe("ERR_ORIGIN_CUT_SHORT");
          expect(error?.headSeen).toBe(headSeen);
          expect(calls).not.toContain("onEnd");
          expect(origin.requests).toHaveLength(1); // a fresh connection: never sent twice
          expect(client.stats().connections).toBe(0);
        },
      );
    });
  }
});

describe("malformed responses", () => {
  const cases: string[] = [
    "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "HTTP/1.1 200 O\x01K\r\nContent-Length: 5\r\n\r\nhello",
    `HTTP/1.1 200 ${"O".repeat(65_536)}`,
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n".repeat(100),
    "hello\r\n\r\n",
    `HTTP/1.1 200 OK\r\n${"X: y\r\n".repeat(300)}\r\n`,
  ];
  for (const sent of cases) {
    test(`${JSON.stringify(sent.slice(0, 70))} is refused and its connection closed`, async () => {
      await withOrigin(
        (connection) => connection.send(sent),
        async (client) => {
          const { error, calls } = await outcomeOf(client);
          expect(error?.code).toBe("ERR_ORIGIN_MALFORMED");
          expect(calls).not.toContain("onEnd");
          expect(error?.headSeen).toBe(calls.includes("onHead"));
          expect(client.stats().connections).toBe(0);
        },
      );
    });
  }
});

describe("kept connections", () => {
  /** Answers the first request of a connection, closes it when the second arrives. */
  const closesOnSecond = (connection: ScriptedConnection) => {
    if (connection.requests === 1) connection.send(OK);
    else connection.socket.end();
  };

  test("GET is sent once more when its reused connection closes without an octet", async () => {
    await withOrigin(closesOnSecond, async (client, origin) => {
      await outcomeOf(client);
      const outcome = await outcomeOf(client);
      expect(outcome.content).toBe("hello");
      expect(origin.requests).toHaveLength(3);
      expect(client.stats().retries).toBe(1);
    });
  });

  test("POST is not, nor PATCH, nor an unknown method", async () => {
    for (const method of ["POST", "PATCH", "FROB"]) {
      await withOrigin(closesOnSecond, async (client, origin) => {
        await outcomeOf(client);
        const { error } = await outcomeOf(client, { method });
        expect(error?.code).toBe("ERR_ORIGIN_CUT_SHORT");
        expect(origin.requests).toHaveLength(2);
      });
    }
  });

  test("GET is not, when an octet of the answer had come", async () => {
    const script = (connection: ScriptedConnection) => {
      connection.send(connection.requests === 1 ? OK : "H");
      if (connection.requests === 2) setTimeout(() => connection.socket.end(), 20);
    };
    await withOrigin(script, async (client, origin) => {
      await outcomeOf(client);
      expect((await outcomeOf(client)).error?.code).toBe("ERR_ORIGIN_CUT_SHORT");
      expect(origin.requests).toHaveLength(2);
    });
  });

  test("a retry is sent once only, on a connection of its own, with all connections kept", async () => {
    let isClosing = false;
    const script = (connection: ScriptedConnection) => {
      if (isClosing) connection.socket.end();
      else setTimeout(() => connection.send(OK), 20);
    };
    await withOrigin(
      script,
      async (client, origin) => {
        await Promise.all([outcomeOf(client), outcomeOf(client), outcomeOf(client)]);
        expect(client.stats().idleConnections).toBe(3);
        isClosing = true;
        const { error } = await outcomeOf(client);
        expect(error?.code).toBe("ERR_ORIGIN_CUT_SHORT");
        expect(origin.requests).toHaveLength(5);
        expect(origin.connections).toBe(4);
        expect(client.stats().idleConnections).toBe(2); // the stale one made room for the retry
      },
      { limits: { connections: 3 } },
    );
  });

  test("Connection: close, HTTP/1.0 and Keep-Alive: timeout=1 end it; Keep-Alive: timeout=5 does not", async () => {
    const responses: [response: string, connections: number][] = [
      ["HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 2],
      ["HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", 2],
      ["HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 0\r\n\r\n", 2],
      ["HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5, max=100\r\nContent-Length: 0\r\n\r\n", 1],
      ["HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", 1],
    ];
    for (const [response, connections] of responses) {
      await withOrigin(
        (connection) => connection.send(response),
        async (client, origin) => {
          await outcomeOf(client);
          await outcomeOf(client);
          expect({ response, connections: origin.connections }).toEqual({ response, connections });
        },
      );
    }
  });

  test("one that receives bytes while idle is closed", async () => {
    await withOrigin(
      (connection) => {
        connection.send(OK);
        setTimeout(() => connection.send("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"), 30);
      },
      async (client) => {
        await outcomeOf(client);
        expect(client.stats().idleConnections).toBe(1);
        while (client.stats().connections > 0) await Bun.sleep(5);
        expect((await outcomeOf(client)).head?.status).toBe(200);
      },
    );
  });

  test("is closed when nobody used it for keepAliveMs, and not before", async () => {
    await withOrigin(
      (connection) => connection.send(OK),
      async (client) => {
        const start = performance.now();
        await outcomeOf(client);
        while (client.stats().connections > 0) await Bun.sleep(5);
        expect(performance.now() - start).toBeGreaterThanOrEqual(100);
      },
      { timeouts: { keepAliveMs: 100 } },
    );
  });

  test("no more than idleConnections are kept", async () => {
    await withOrigin(
      (connection) => void setTimeout(() => connection.send(OK), 20),
      async (client) => {
        await Promise.all(Array.from({ length: 8 }, () => outcomeOf(client)));
        expect(client.stats()).toMatchObject({ idleConnections: 3, connections: 3, connectionsMade: 8 });
      },
      { limits: { idleConnections: 3 } },
    );
  });
});

describe("limits and time-outs", () => {
  test("beyond connections and waitingExchanges: POOL_FULL, and those within are served in order", async () => {
    const order: string[] = [];
    await withOrigin(
      (connection, request) => {
        order.push(request.split(" ")[1]!);
        setTimeout(() => connection.send(OK), 10);
      },
      async (client) => {
        const sent = Array.from({ length: 9 }, (_, i) => outcomeOf(client, { target: `/${i}` }));
        const outcomes = await Promise.all(sent);
        const codes = outcomes.map((outcome) => outcome.error?.code);
        expect(codes.slice(0, 6)).toEqual(Array(6).fill(undefined));
        expect(codes.slice(6)).toEqual(Array(3).fill("ERR_ORIGIN_POOL_FULL"));
        expect(order).toEqual(["/0", "/1", "/2", "/3", "/4", "/5"]);
        expect(client.stats().errors).toEqual({ ERR_ORIGIN_POOL_FULL: 3 });
      },
      { limits: { connections: 1, waitingExchanges: 6 } },
    );
  });

  test("an exchange that waits queueMs for a connection fails, not before", async () => {
    await withOrigin(
      () => {},
      async (client) => {
        const start = performance.now();
        const first = outcomeOf(client);
        const second = await outcomeOf(client);
        expect(second.error?.code).toBe("ERR_ORIGIN_POOL_FULL");
        expect(performance.now() - start).toBeGreaterThanOrEqual(100);
        client.close();
        expect((await first).error?.code).toBe("ERR_ORIGIN_CLOSED");
      },
      { limits: { connections: 1 }, timeouts: { queueMs: 100 } },
    );
  });

  test("an origin that does not answer: TIMEOUT after headMs, informational responses or not", async () => {
    for (const sent of ["", "HTTP/1.1 200 OK\r\nX: ", "HTTP/1.1 102 Processing\r\n\r\n"]) {
      await withOrigin(
        (connection) => connection.send(sent),
        async (client, origin) => {
          const start = performance.now();
          const { error } = await outcomeOf(client);
          expect(error?.code).toBe("ERR_ORIGIN_TIMEOUT");
          expect(error?.headSeen).toBe(false);
          expect(performance.now() - start).toBeGreaterThanOrEqual(100);
          expect(origin.requests).toHaveLength(1);
          expect(client.stats().connections).toBe(0);
        },
        { timeouts: { headMs: 100 } },
      );
    }
  });

  test("an origin that stops within the content: TIMEOUT after idleMs; one that drips is not", async () => {
    await withOrigin(
      async (connection, request) => {
        connection.send(OK.slice(0, -5));
        for (const octet of request.includes("/drip") ? "hello" : "he") {
          await Bun.sleep(60);
          connection.send(octet);
        }
      },
      async (client) => {
        const [dripped, stopped] = await Promise.all([outcomeOf(client, { target: "/drip" }), outcomeOf(client)]);
        expect(dripped.content).toBe("hello");
        expect(stopped.error?.code).toBe("ERR_ORIGIN_TIMEOUT");
        expect(stopped.error?.headSeen).toBe(true);
        expect(stopped.content).toBe("he");
      },
      { timeouts: { idleMs: 150 } },
    );
  });

  test("a paused exchange is not timed out", async () => {
    await withOrigin(
      (connection) => {
        connection.send(OK.slice(0, -5));
        setTimeout(() => connection.send("hello"), 50);
      },
      async (client) => {
        const { promise, resolve } = Promise.withResolvers<string>();
        const calls: string[] = [];
        const exchange = client.send(
          { method: "GET", target: "/", fields: new Fields() },
          {
            onHead: () => exchange.pause(),
            onContent: (chunk) => void calls.push(Buffer.from(chunk).toString()),
            onEnd: () => resolve("end"),
            onError: (error) => resolve(error.code),
          },
        );
        await Bun.sleep(300);
        expect(calls).toEqual([]);
        exchange.resume();
        expect(await promise).toBe("end");
        expect(calls).toEqual(["hello"]);
        expect((await outcomeOf(client)).content).toBe("hello"); // the connection reads again
        expect(client.stats().connectionsMade).toBe(1);
      },
      { timeouts: { idleMs: 100 } },
    );
  });

  test("an exchange paused before its kept connection got it is not timed out as if nobody used that", async () => {
    await withOrigin(
      (connection) => connection.send(OK),
      async (client) => {
        await outcomeOf(client);
        const blocker = [outcomeOf(client), outcomeOf(client)];
        const { promise, resolve } = Promise.withResolvers<string>();
        const exchange = client.send(
          { method: "GET", target: "/", fields: new Fields() },
          { onHead() {}, onContent() {}, onEnd: () => resolve("end"), onError: (error) => resolve(error.code) },
        );
        exchange.pause();
        await Promise.all(blocker);
        await Bun.sleep(300);
        exchange.resume();
        expect(await promise).toBe("end");
      },
      { limits: { connections: 1 }, timeouts: { keepAliveMs: 100, headMs: 100 } },
    );
  });

  test("a port nobody listens on, a host that is none: CONNECT, for each exchange", async () => {
    const closed = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const { port } = closed;
    closed.stop(true);
    for (const origin of [`http://127.0.0.1:${port}`, "http://no-such-host.invalid"]) {
      const client = new OriginClient({ origin: new URL(origin) });
      const outcomes = await Promise.all([outcomeOf(client), outcomeOf(client), outcomeOf(client)]);
      expect(outcomes.map((outcome) => outcome.error?.code)).toEqual(Array(3).fill("ERR_ORIGIN_CONNECT"));
      expect(outcomes[0]?.error?.cause).toBeInstanceOf(Error);
      expect(client.stats()).toMatchObject({ connections: 0, connecting: 0, waitingExchanges: 0 });
      client.close();
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
