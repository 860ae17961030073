/**
 * The most that Bun can do: two threads with `Bun.listen` that answer each read with one constant response from memory, and know nothing of HTTP. What a cache takes beside
 * it is what the cache takes. Webproxy's place in compare.mjs: `bun bare-server.ts PORT` answers `/sBYTES.bin`.
 */
import { Worker } from "node:worker_threads";

const THREADS = 2;
/** As webproxy does for clients that are near: more falls out of the processor's caches before it is read. */
const SEND_BUFFER_BYTES = 256 * 1024;

interface Sending {
  response: Uint8Array;
  sent: number;
}

if (Bun.isMainThread) {
  const port = Number(process.argv[2]);
  for (let index = 0; index < THREADS; index++) new Worker(import.meta.path, { argv: [String(port)] });
} else {
  await serve(Number(process.argv[2]));
}

async function serve(port: number): Promise<void> {
  const { limitSendBuffer } = await import("@proj/ipc");
  const responses = new Map<string, Uint8Array>();
  const address = { hostname: "127.0.0.1", port, reusePort: true };
  Bun.listen<Sending>({
    ...address,
    socket: {
      open(socket) {
        limitSendBuffer((socket as typeof socket & { fd: number }).fd, SEND_BUFFER_BYTES, Number.POSITIVE_INFINITY);
        socket.data = { response: new Uint8Array(0), sent: 0 };
      },
      data(socket, chunk) {
        // A kept connection asks for the same again and again: only its first request is looked at.
        const { data } = socket;
        if (data.response.length === 0) data.response = responseTo(responses, chunk.toString("latin1"));
        data.sent = Math.max(0, socket.write(data.response));
      },
      drain(socket) {
        const { data } = socket;
        if (data.sent < data.response.length) data.sent += Math.max(0, socket.write(data.response.subarray(data.sent)));
      },
    },
  });
}

function responseTo(responses: Map<string, Uint8Array>, request: string): Uint8Array {
  const size = /^GET \/s(\d+)\.bin /.exec(request)?.[1] ?? "0";
  const known = responses.get(size);
  if (known !== undefined) return known;
  const head = `HTTP/1.1 200 OK\r\nDate: ${new Date().toUTCString()}\r\nCache-Control: max-age=3600\r\nContent-Length: ${size}\r\n\r\n`;
  const response = new Uint8Array(head.length + Number(size));
  // Octets of its own: pages that were never written to are all the same one, which is always in the caches.
  for (let index = 0; index < response.length; index++) response[index] = index % 251;
  response.set(Buffer.from(head));
  responses.set(size, response);
  return response;
}
