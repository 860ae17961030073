import { describe, expect, test } from "bun:test";
import { Fields } from "@proj/protocol";
import { outcomeOf } from "../test/outcome.ts";
import { OK } from "../test/scripted-origin.ts";
import { withOrigin } from "../test/with-origin.ts";
import { OriginClient } from "./client.ts";

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
