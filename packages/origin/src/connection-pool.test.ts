import { expect, test } from "bun:test";
import { join } from "node:path";
import type { Socket } from "bun";
import { outcomeOf } from "../test/outcome.ts";
import { OK, scriptedOrigin } from "../test/scripted-origin.ts";
import { OriginClient } from "./client.ts";

test("a connection attempt that was given up counts until the kernel has given it up too", async () => {
  // A stopped process takes no connections: its backlog fills, and from then on a SYN is not answered.
  const listener = Bun.spawn([process.execPath, join(import.meta.dir, "../test/listener.ts")], { stdout: "pipe" });
  const backlog: Promise<Socket<undefined>>[] = [];
  let client: OriginClient | undefined;
  try {
    const { value } = await listener.stdout.getReader().read();
    const port = Number(new TextDecoder().decode(value));
    listener.kill("SIGSTOP");
    for (let taken = true; taken; ) {
      const attempt = Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } });
      backlog.push(attempt);
      taken = await Promise.race([attempt.then(() => true), Bun.sleep(500).then(() => false)]);
    }
    client = new OriginClient({
      origin: new URL(`http://127.0.0.1:${port}`),
      limits: { connections: 1 },
      timeouts: { connectMs: 100, queueMs: 200 },
    });
    const [first, second] = await Promise.all([outcomeOf(client), outcomeOf(client)]);
    expect(first.error?.code).toBe("ERR_ORIGIN_TIMEOUT");
    expect(second.error?.code).toBe("ERR_ORIGIN_POOL_FULL");
    expect(client.stats()).toMatchObject({ connections: 1, connecting: 1, waitingExchanges: 0, connectionsMade: 1 });
    listener.kill("SIGCONT");
    while (client.stats().connections > 0) await Bun.sleep(20);
  } finally {
    client?.close();
    listener.kill("SIGKILL");
    await Promise.allSettled(backlog.map(async (attempt) => (await attempt).terminate()));
  }
});

test("a thousand exchanges that end in every way leave nothing behind", async () => {
  const seed = Math.floor(Math.random() * 2 ** 32);
  console.log(`connection pool seed ${seed}`);
  let state = seed || 1;
  const random = (below: number) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
  using origin = scriptedOrigin((connection, request) => {
    const way = Number(request.split(" ")[1]!.slice(1));
    if (way === 0) connection.socket.end();
    else if (way === 1) connection.socket.terminate();
    else if (way === 2) connection.send(OK.slice(0, 20 + random(20)));
    else if (way === 3) connection.send("HTTP/1.1 200 OK\nno\n\n");
    else if (way === 4) connection.send(OK + OK);
    else if (way === 5) setTimeout(() => connection.send(OK), random(20));
    else connection.send(OK);
  });
  const client = new OriginClient({
    origin: origin.url,
    limits: { connections: 8 },
    timeouts: { headMs: 80, idleMs: 80, keepAliveMs: 80 },
  });
  try {
    const sent: [way: number, ends: ReturnType<typeof outcomeOf>][] = [];
    for (let i = 0; i < 1000; i++) {
      const way = random(10);
      sent.push([way, outcomeOf(client, { target: `/${way}` })]);
      if (random(20) === 0) await Bun.sleep(random(10));
    }
    for (const [way, ends] of sent) {
      const outcome = await ends;
      // Whatever the others on its connection met with, each gets its own response, whole, or an error.
      if (outcome.error === undefined) expect({ way, content: outcome.content }).toEqual({ way, content: "hello" });
      else expect(way).toBeLessThan(6);
    }
    while (client.stats().connections > 0) await Bun.sleep(5);
    expect(client.stats()).toMatchObject({ idleConnections: 0, connecting: 0, waitingExchanges: 0, exchanges: 1000 });
  } finally {
    client.close();
  }
});
