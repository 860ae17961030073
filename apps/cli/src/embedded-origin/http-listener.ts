import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

type Fetch = (request: Request) => Response | Promise<Response>;

/** Longer than any client of ours keeps an idle connection, so that it is never closed just as a request is sent on it. */
const KEEP_ALIVE_MS = 120_000;

/**
 * Listens with node:http and answers with what `fetch` returns. A body that fails half-way closes the connection.
 *
 * Not Bun.serve: in Bun 1.4.5 it drops the Content-Length of a streamed body, and a file that is truncated while it is sent holds
 * its client until the idle time-out. node:http keeps the length and lets a response be broken off.
 *
 * @throws The error of `listen`, such as `EADDRINUSE`.
 */
export function listenHttp(options: { hostname: string; port: number; fetch: Fetch }): Promise<Server> {
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (incoming, outgoing) => {
    answer(incoming, outgoing, options.fetch).catch(() => outgoing.destroy());
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, options.hostname, () => resolve(server));
  });
}

async function answer(incoming: IncomingMessage, outgoing: ServerResponse, fetch: Fetch): Promise<void> {
  const target = incoming.url ?? "";
  if (!target.startsWith("/")) {
    outgoing.writeHead(400, { "content-length": "0" }).end();
    return;
  }
  const headers = new Headers(
    incoming.rawHeaders.flatMap((name, index, all) => (index % 2 ? [] : [[name, all[index + 1]!]])),
  );
  const response = await fetch(new Request(`http://localhost${target}`, { method: incoming.method ?? "GET", headers }));
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  if (response.body !== null) await send(response.body, outgoing);
  outgoing.end();
}

async function send(body: ReadableStream<Uint8Array>, outgoing: ServerResponse): Promise<void> {
  for await (const chunk of body) {
    if (outgoing.destroyed) return; // leaving the loop cancels the body
    if (!outgoing.write(chunk)) await drained(outgoing);
  }
}

function drained(outgoing: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const settle = () => {
      outgoing.off("drain", settle).off("close", settle);
      resolve();
    };
    outgoing.on("drain", settle).on("close", settle);
  });
}
