/**
 * One body that is larger than every tier, through a small cache: does it stream, does memory stay where it was, and does every byte come through? The origin says the
 * body's length, or sends it in chunks so that nobody knows it before the end.
 *
 *   bun run bench/huge-body.ts [--gigabytes 100] [--framing length|chunked] [-- WEBPROXY OPTIONS]        default: --memory 64MiB --disk 64MiB
 *
 * Every mebibyte begins with its number, which the client compares, with the first and the last byte of each piece that it reads.
 */
import { parseArgs } from "node:util";
import { processUsage } from "../tests/support/process-usage.ts";
import { Webproxy } from "../tests/support/webproxy.ts";
import { machine } from "./support/machine.ts";

const { values: given, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    gigabytes: { type: "string", default: "100" },
    framing: { type: "string", default: "length" },
  },
});
const MIB = 2 ** 20;
const MEBIBYTES = Math.ceil((Number(given.gigabytes) * 1e9) / MIB);
const BYTES = MEBIBYTES * MIB;
const IS_CHUNKED = given.framing === "chunked";
/** Memory may grow by so much from the first tenth to the end. */
const GROWTH_BYTES_MAX = 64 * MIB;

console.log(machine());
using origin = startOrigin();
await using webproxy = await Webproxy.start({
  origin: `http://127.0.0.1:${origin.port}`,
  args: ["--memory", "64MiB", "--disk", "64MiB", "--quiet", ...positionals],
});
const { proxy, cache } = await webproxy.stats();
const used = () => processUsage(proxy!.pid).ownBytes + processUsage(cache!.pid).ownBytes;
const startedMs = performance.now();
const samples: number[] = [];
const sampling = setInterval(() => samples.push(used()), 100);
const receivedBytes = await download();
clearInterval(sampling);
const seconds = (performance.now() - startedMs) / 1000;
const early = Math.max(...samples.slice(0, Math.ceil(samples.length / 10)));
const late = Math.max(...samples);
const mib = (bytes: number) => `${(bytes / MIB).toFixed(0)} MiB`;
console.log(
  `${(receivedBytes / 1e9).toFixed(1)} GB in ${seconds.toFixed(0)} s (${(receivedBytes / 1e9 / seconds).toFixed(2)} GB/s); proxy and cache: at most ${mib(early)} in the first tenth of the time, ${mib(late)} in all of it`,
);
process.exitCode = receivedBytes === BYTES && late - early < GROWTH_BYTES_MAX ? 0 : 1;

function startOrigin(): Bun.TCPSocketListener<{ sent: number; offset: number }> {
  const frame = Buffer.alloc(MIB + 20);
  const before = IS_CHUNKED ? `${MIB.toString(16)}\r\n` : "";
  const after = IS_CHUNKED ? "\r\n" : "";
  const frameBytes = before.length + MIB + after.length;
  frame.write(before, 0);
  for (let index = 8; index < MIB; index++) frame[before.length + index] = index % 251;
  frame.write(after, before.length + MIB);
  const send = (socket: Bun.Socket<{ sent: number; offset: number }>) => {
    const { data } = socket;
    while (data.sent < MEBIBYTES) {
      frame.writeDoubleLE(data.sent, before.length);
      data.offset += socket.write(frame.subarray(data.offset, frameBytes));
      if (data.offset < frameBytes) return;
      data.offset = 0;
      data.sent++;
    }
    if (data.sent === MEBIBYTES && IS_CHUNKED) {
      data.sent++;
      socket.write("0\r\n\r\n");
    }
  };
  return Bun.listen<{ sent: number; offset: number }>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        socket.data = { sent: 0, offset: 0 };
      },
      data(socket) {
        const length = IS_CHUNKED ? "Transfer-Encoding: chunked" : `Content-Length: ${BYTES}`;
        socket.write(`HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\n${length}\r\n\r\n`);
        send(socket);
      },
      drain: send,
    },
  });
}

/** Takes the body through GETFILE's neighbour, HTTP/1.0, whose end is the connection's: no chunks to undo here. */
function download(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  let head = "";
  let bytes = 0;
  const number = Buffer.alloc(8);
  const body = (chunk: Buffer) => {
    // Where the next mebibyte begins in this chunk, its first eight bytes may be cut in two.
    for (let at = 0; at < chunk.length; ) {
      const inMebibyte = (bytes + at) % MIB;
      if (inMebibyte < 8) {
        const count = Math.min(8 - inMebibyte, chunk.length - at);
        chunk.copy(number, inMebibyte, at, at + count);
        at += count;
        const mebibyte = Math.floor((bytes + at - 1) / MIB);
        if (inMebibyte + count === 8 && number.readDoubleLE(0) !== mebibyte)
          return reject(new Error(`mebibyte ${mebibyte} says that it is ${number.readDoubleLE(0)}`));
        continue;
      }
      const count = Math.min(MIB - inMebibyte, chunk.length - at);
      if (chunk[at] !== inMebibyte % 251 || chunk[at + count - 1] !== (inMebibyte + count - 1) % 251)
        return reject(new Error(`wrong bytes about ${bytes + at}`));
      at += count;
    }
    bytes += chunk.length;
  };
  Bun.connect({
    hostname: webproxy.http.host,
    port: webproxy.http.port,
    socket: {
      open: (socket) => void socket.write("GET /huge HTTP/1.0\r\nHost: a\r\n\r\n"),
      data(socket, chunk) {
        if (head.endsWith("\r\n\r\n")) body(chunk);
        else {
          const text = head + chunk.toString("latin1");
          const end = text.indexOf("\r\n\r\n");
          const rest = end < 0 ? undefined : chunk.subarray(end + 4 - head.length);
          head = end < 0 ? text : text.slice(0, end + 4);
          if (rest !== undefined) body(rest);
        }
        if (bytes === BYTES) socket.end();
      },
      close: () => resolve(bytes),
      error: (_, error) => reject(error),
    },
  });
  return promise;
}
