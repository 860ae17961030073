/** What an origin may answer with that is no whole response, or more than one: none of it is taken for another's answer, or for a whole one. */
import { describe, expect, test } from "bun:test";
import { outcomeOf } from "../test/outcome.ts";
import { OK } from "../test/scripted-origin.ts";
import { withOrigin } from "../test/with-origin.ts";
import { REST_MS } from "./limits.ts";

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
