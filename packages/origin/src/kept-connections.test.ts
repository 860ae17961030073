import { describe, expect, test } from "bun:test";
import { outcomeOf } from "../test/outcome.ts";
import { OK, type ScriptedConnection } from "../test/scripted-origin.ts";
import { withOrigin } from "../test/with-origin.ts";

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
