import { describe, expect, test } from "bun:test";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Fields } from "@proj/protocol";
import { outcomeOf } from "../test/outcome.ts";
import { type ScriptedConnection, type ScriptedOrigin, scriptedOrigin } from "../test/scripted-origin.ts";
import { OriginClient, type OriginClientOptions } from "./client.ts";
import type { OriginNews } from "./health-news.ts";

type Script = (connection: ScriptedConnection, request: string) => void;

/** Says who it is. */
const says =
  (name: string): Script =>
  (connection) =>
    connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${name.length}\r\n\r\n${name}`);

/** Rests longer than any test unless told otherwise: what an origin does is then what has been decided, not what the clock says. */
const LONG_RESTS = { firstMs: 600_000, maxMs: 600_000 };

async function withOrigins(
  scripts: readonly (Script | "closed")[],
  run: (client: OriginClient, origins: readonly ScriptedOrigin[], news: OriginNews[]) => Promise<void>,
  options: Partial<OriginClientOptions> = {},
): Promise<void> {
  const origins = scripts.map((script) => scriptedOrigin(script === "closed" ? () => {} : script));
  scripts.forEach((script, index) => {
    if (script === "closed") origins[index]![Symbol.dispose]();
  });
  const news: OriginNews[] = [];
  const client = new OriginClient({
    origin: origins.map(({ url }) => url),
    rests: LONG_RESTS,
    onHealth: (one) => news.push(one),
    ...options,
  });
  try {
    await run(client, origins, news);
  } finally {
    client.close();
    for (const origin of origins) origin[Symbol.dispose]();
  }
}

async function contents(client: OriginClient, count: number, request = {}): Promise<string[]> {
  const seen: string[] = [];
  for (let i = 0; i < count; i++) {
    const { content, error } = await outcomeOf(client, request);
    seen.push(error?.code ?? content);
  }
  return seen;
}

/** Sends content in two pieces, the first before there can be a connection. */
function upload(client: OriginClient): Promise<string> {
  return new Promise((resolve) => {
    let content = "";
    const fields = Fields.from([["Content-Length", "6"]]);
    const exchange = client.send(
      { method: "POST", target: "/", fields, hasContent: true },
      {
        onHead() {},
        onContent: (chunk) => {
          content += Buffer.from(chunk).toString("latin1");
        },
        onEnd: () => resolve(content),
        onError: (error) => resolve(error.code),
      },
    );
    exchange.write(Buffer.from("one"));
    queueMicrotask(() => {
      exchange.write(Buffer.from("two"));
      exchange.endContent();
    });
  });
}

describe("OriginClient with several origins", () => {
  test("asks them in turn, each by its own name", async () => {
    await withOrigins([says("a"), says("b"), says("c")], async (client, origins, news) => {
      expect(await contents(client, 6)).toEqual(["a", "b", "c", "a", "b", "c"]);
      for (const { url, requests } of origins) expect(requests[0]).toBe(`GET / HTTP/1.1\r\nHost: ${url.host}\r\n\r\n`);
      expect(client.origins()).toEqual(
        origins.map(({ url }) => ({ origin: url.origin, asked: 2, failures: 0, isResting: false })),
      );
      expect(client.stats()).toMatchObject({ exchanges: 6, connectionsMade: 3, reuses: 3, idleConnections: 3 });
      expect(news).toEqual([]);
    });
  });

  test("leaves one alone that takes no connection: nobody sees the failure, whatever the method", async () => {
    await withOrigins(["closed", says("b")], async (client, [dead], news) => {
      expect(await contents(client, 1, { method: "PATCH" })).toEqual(["b"]);
      expect(await contents(client, 5)).toEqual(["b", "b", "b", "b", "b"]);
      expect(client.origins()[0]).toEqual({ origin: dead!.url.origin, asked: 1, failures: 1, isResting: true });
      expect(client.origins()[1]).toMatchObject({ asked: 6, failures: 0, isResting: false });
      expect(news).toHaveLength(1);
      expect(news[0]).toMatchObject({ origin: dead!.url.origin, failure: expect.stringContaining("no connection") });
    });
  });

  test("takes content along that no origin has seen yet", async () => {
    const echo = createServer((request, response) => request.pipe(response));
    await new Promise<void>((listening) => echo.listen(0, "127.0.0.1", listening));
    const dead = scriptedOrigin(() => {});
    dead[Symbol.dispose]();
    const { port } = echo.address() as AddressInfo;
    const client = new OriginClient({ origin: [dead.url, new URL(`http://127.0.0.1:${port}`)] });
    try {
      expect(await upload(client)).toBe("onetwo");
      expect(client.origins().map(({ asked, failures }) => [asked, failures])).toEqual([
        [1, 1],
        [1, 0],
      ]);
    } finally {
      client.close();
      echo.close();
    }
  });

  const ILL: [name: string, script: Script][] = [
    ["closes without an answer", (connection) => connection.socket.end()],
    ["resets", (connection) => connection.socket.terminate()],
    ["closes within the head", (connection) => connection.socket.end("HTTP/1.1 200 OK\r\nX: ")],
    ["says nothing in time", () => {}],
    ["speaks another protocol", (connection) => connection.send("SSH-2.0-OpenSSH_9.2\r\n\r\n")],
  ];
  for (const [name, script] of ILL) {
    test(`sends a request that may be repeated on to another when one ${name}`, async () => {
      await withOrigins(
        [script, says("b")],
        async (client) => {
          expect(await contents(client, 3)).toEqual(["b", "b", "b"]);
          expect(client.origins()[0]).toMatchObject({ asked: 1, failures: 1, isResting: true });
        },
        { timeouts: { headMs: 100 } },
      );
    });

    test(`does not repeat a request that may have had its effect when one ${name}`, async () => {
      await withOrigins(
        [script, says("b")],
        async (client, origins) => {
          expect(await contents(client, 1, { method: "POST" })).toEqual([expect.stringContaining("ERR_ORIGIN_")]);
          expect(origins[1]!.requests).toEqual([]);
          expect(await contents(client, 2, { method: "POST" })).toEqual(["b", "b"]);
        },
        { timeouts: { headMs: 100 } },
      );
    });
  }

  test("does not repeat what has had a part of its answer: an interim response, a head", async () => {
    const early: Script = (connection) => {
      connection.send("HTTP/1.1 103 Early Hints\r\n\r\n");
      setTimeout(() => connection.socket.end(), 20);
    };
    const half: Script = (connection) => {
      connection.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nha");
      setTimeout(() => connection.socket.end(), 20);
    };
    for (const script of [early, half]) {
      await withOrigins([script, says("b")], async (client, origins) => {
        expect(await contents(client, 1)).toEqual(["ERR_ORIGIN_CUT_SHORT"]);
        expect(origins[1]!.requests).toEqual([]);
      });
    }
  });

  test("takes a status for an answer: 500 and 503 are passed on and nobody rests", async () => {
    const refuses: Script = (connection) => connection.send("HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nbusy");
    await withOrigins([refuses, says("b")], async (client, _origins, news) => {
      expect(await contents(client, 4)).toEqual(["busy", "b", "busy", "b"]);
      expect(news).toEqual([]);
    });
  });

  test("tries one again after its rest, and takes it back when it answers", async () => {
    let isIll = true;
    const script: Script = (connection) => (isIll ? connection.socket.terminate() : says("a")(connection, ""));
    await withOrigins(
      [script, says("b")],
      async (client, [first], news) => {
        expect(await contents(client, 2)).toEqual(["b", "b"]);
        while (client.origins()[0]!.isResting) await Bun.sleep(5);
        expect(await contents(client, 2)).toEqual(["b", "b"]); // still ill
        expect(client.origins()[0]!.failures).toBeGreaterThanOrEqual(2);
        isIll = false;
        while (client.origins()[0]!.isResting) await Bun.sleep(5);
        expect((await contents(client, 4)).toSorted()).toEqual(["a", "a", "b", "b"]);
        const { origin } = first!.url;
        expect(news.map((one) => [one.origin, one.failure === undefined])).toEqual([
          [origin, false],
          [origin, true],
        ]);
      },
      { rests: { firstMs: 100, maxMs: 1_000 } },
    );
  });

  test("asks the least bad when all rest, and all of them before it fails", async () => {
    let mayAnswer = false;
    const flaky: Script = (connection) => (mayAnswer ? says("b")(connection, "") : connection.socket.terminate());
    await withOrigins(["closed", flaky, "closed"], async (client) => {
      const [error] = await contents(client, 1);
      expect(error).toStartWith("ERR_ORIGIN_");
      expect(client.origins().map(({ failures, isResting }) => [failures, isResting])).toEqual([
        [1, true],
        [1, true],
        [1, true],
      ]);
      mayAnswer = true;
      expect(await contents(client, 3)).toEqual(["b", "b", "b"]);
      expect(client.origins()[1]).toMatchObject({ isResting: false });
    });
  });

  test("sends those that wait for a connection to others at once when one of them finds the origin ill", async () => {
    let closing: ScriptedConnection | undefined;
    const script: Script = (connection) => {
      closing = connection;
    };
    await withOrigins(
      [script, says("b")],
      async (client, origins) => {
        const outcomes = Array.from({ length: 10 }, () => outcomeOf(client));
        while (closing === undefined) await Bun.sleep(5);
        closing.socket.terminate();
        const seen = (await Promise.all(outcomes)).map(({ content, error }) => error?.code ?? content);
        expect(seen).toEqual(Array.from({ length: 10 }, () => "b"));
        expect(origins[0]!.requests).toHaveLength(1);
      },
      { limits: { connections: 1 }, timeouts: { queueMs: 60_000 } },
    );
  });

  test("goes to another when all connections to one are busy and the queue for them is full, without blaming it", async () => {
    const slow: ScriptedConnection[] = [];
    await withOrigins(
      [(connection) => slow.push(connection), says("b")],
      async (client) => {
        const held = outcomeOf(client);
        while (slow.length === 0) await Bun.sleep(5);
        expect(await contents(client, 1)).toEqual(["b"]);
        const queued = outcomeOf(client);
        expect(await contents(client, 3)).toEqual(["b", "b", "b"]);
        expect(client.origins()[0]).toMatchObject({ failures: 0, isResting: false });
        says("a")(slow[0]!, "");
        expect((await held).content).toBe("a");
        while (slow.length < 2) await Bun.sleep(5);
        says("a")(slow[1]!, "");
        expect((await queued).content).toBe("a");
      },
      { limits: { connections: 1, waitingExchanges: 1 } },
    );
  });

  test("an exchange that is given up as the trial leaves the trial to the next", async () => {
    let way: "ill" | "silent" | "well" = "ill";
    const silent: ScriptedConnection[] = [];
    const script: Script = (connection) => {
      if (way === "ill") connection.socket.terminate();
      else if (way === "silent") silent.push(connection);
      else says("a")(connection, "");
    };
    await withOrigins(
      [script, says("b")],
      async (client) => {
        expect(await contents(client, 1)).toEqual(["b"]);
        while (client.origins()[0]!.isResting) await Bun.sleep(5);
        way = "silent";
        const none = { onHead() {}, onContent() {}, onEnd() {}, onError() {} };
        const trial = client.send({ method: "GET", target: "/", fields: new Fields() }, none);
        while (silent.length === 0) await Bun.sleep(5);
        expect(await contents(client, 3)).toEqual(["b", "b", "b"]); // one trial at a time
        trial.abort();
        way = "well";
        expect((await contents(client, 2)).toSorted()).toEqual(["a", "b"]);
      },
      { rests: { firstMs: 50, maxMs: 50 } },
    );
  });

  test("close() fails what is under way at all of them, and what comes later", async () => {
    await withOrigins([() => {}, () => {}], async (client) => {
      const under = [outcomeOf(client), outcomeOf(client)];
      await Bun.sleep(20);
      client.close();
      for (const outcome of await Promise.all([...under, outcomeOf(client)]))
        expect(outcome.error?.code).toBe("ERR_ORIGIN_CLOSED");
    });
  });

  test("refuses to be made without any", () => {
    expect(() => new OriginClient({ origin: [] })).toThrow(TypeError);
  });
});
