/**
 * What does an idle keep-alive connection cost? Ten thousand clients ask for 1 KiB and stay; what the proxy process holds by itself (RssAnon, so without the kernel's share) is
 * read before, while they are open and after. Beside it the same with a Bun.listen that does nothing with its sockets: what Bun takes for each.
 *
 *   bun run bench/idle-connections.ts [--connections 10000] [-- WEBPROXY OPTIONS]
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import type { Address } from "../tests/support/address.ts";
import { Webproxy } from "../tests/support/webproxy.ts";
import { machine } from "./support/machine.ts";

const BARE = "bare";
const PROMISED_BYTES = 4096;

if (process.argv[2] === BARE) serveBare();
else await measure();

function serveBare(): void {
  const response = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: (socket) => void socket.write(response) },
  });
  console.log(listener.port);
}

async function measure(): Promise<void> {
  const { values: given, positionals } = parseArgs({
    allowPositionals: true,
    options: { connections: { type: "string", default: "10000" } },
  });
  const count = Number(given.connections);
  console.log(`${machine()}; ${count} connections`);
  const body = new Uint8Array(1024);
  const headers = { "Cache-Control": "max-age=3600" };
  using origin = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response(body, { headers }) });
  await using webproxy = await Webproxy.start({ origin: `http://127.0.0.1:${origin.port}`, args: positionals });
  const { pid } = (await webproxy.stats()).proxy!;
  const bare = Bun.spawn([process.execPath, import.meta.path, BARE], { stdout: "pipe" });
  try {
    const { value } = await bare.stdout.getReader().read();
    const barePort = Number(new TextDecoder().decode(value));
    await compare("bare Bun.listen", bare.pid, { host: "127.0.0.1", port: barePort }, count);
    await compare("webproxy", pid, webproxy.http, count);
  } finally {
    bare.kill();
  }
  console.log(`promised: ${PROMISED_BYTES} bytes for each`);
}

/** Twice: the first time pays for what grows once and stays. */
async function compare(name: string, pid: number, address: Address, count: number): Promise<void> {
  for (const round of ["first", "again"]) {
    const before = anonymousBytes(pid);
    const sockets = await openAll(address, count);
    await Bun.sleep(2000);
    const each = Math.round((anonymousBytes(pid) - before) / count);
    for (const socket of sockets) socket.terminate();
    await Bun.sleep(2000);
    const after = Math.round((anonymousBytes(pid) - before) / count);
    console.log(`${name.padEnd(16)}${round}: ${each} bytes for each connection, ${after} of them once all are closed`);
  }
}

async function openAll({ host, port }: Address, count: number): Promise<{ terminate(): void }[]> {
  const sockets: { terminate(): void }[] = [];
  for (let index = 0; index < count; index++) {
    const answered = Promise.withResolvers<void>();
    const socket = await Bun.connect({
      hostname: host,
      port,
      socket: { data: () => answered.resolve(), close: () => answered.reject(new Error("closed")) },
    });
    socket.write("GET /1k HTTP/1.1\r\nHost: a\r\n\r\n");
    await answered.promise;
    sockets.push(socket);
  }
  return sockets;
}

function anonymousBytes(pid: number): number {
  return Number(/^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))![1]) * 1024;
}
