/**
 * How many exchanges of 1 KiB a second, and how long does one take, over loopback on kept connections?
 *
 *     bun packages/origin/bench/exchange-rate.ts [concurrency] [seconds]
 *
 * The origin is a process of its own that answers every request with the same bytes in one write, so that it costs as
 * little as an origin can. The baseline is the same exchange without a client: write a request, count the bytes that
 * come back.
 */
import { Fields } from "@proj/protocol";
import { OriginClient } from "../src/index.ts";

const RESPONSE_HEAD =
  "HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain\r\n" +
  'ETag: "1"\r\nContent-Length: 1024\r\n\r\n';
const RESPONSE = Buffer.from(RESPONSE_HEAD + "x".repeat(1024));

if (process.argv[2] === "origin") serve();
else await measure(Number(process.argv[2] ?? 1), Number(process.argv[3] ?? 3));

function serve(): void {
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: (socket) => void socket.write(RESPONSE), error() {} },
  });
  console.log(server.port);
}

async function measure(concurrency: number, seconds: number): Promise<void> {
  const origin = Bun.spawn([process.execPath, import.meta.path, "origin"], { stdout: "pipe" });
  try {
    const { value } = await origin.stdout.getReader().read();
    const port = Number(new TextDecoder().decode(value));
    console.log(
      `${navigator.hardwareConcurrency} cores, Bun ${Bun.version}, ${concurrency} at a time, ${seconds} s each`,
    );
    for (let round = 1; round <= 2; round++) {
      await report(`bare socket ${round}`, () => bareSocket(port, concurrency, seconds));
      await report(`OriginClient ${round}`, () => client(port, concurrency, seconds));
    }
  } finally {
    origin.kill();
  }
}

/** Microseconds of each exchange. */
async function client(port: number, concurrency: number, seconds: number): Promise<number[]> {
  const origin = new OriginClient({ origin: new URL(`http://127.0.0.1:${port}`) });
  const fields = Fields.from([
    ["Host", `127.0.0.1:${port}`],
    ["User-Agent", "bench"],
    ["Accept", "*/*"],
    ["Via", "1.1 webproxy"],
  ]);
  const times: number[] = [];
  const end = performance.now() + seconds * 1000;
  const one = (done: () => void) => {
    const start = performance.now();
    origin.send(
      { method: "GET", target: "/1k", fields },
      {
        onHead() {},
        onContent() {},
        onEnd() {
          const now = performance.now();
          times.push((now - start) * 1000);
          if (now < end) one(done);
          else done();
        },
        onError: (error) => {
          throw error;
        },
      },
    );
  };
  await Promise.all(Array.from({ length: concurrency }, () => new Promise<void>((done) => one(done))));
  origin.close();
  return times;
}

async function bareSocket(port: number, concurrency: number, seconds: number): Promise<number[]> {
  const request = Buffer.from(
    `GET /1k HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUser-Agent: bench\r\nAccept: */*\r\nVia: 1.1 webproxy\r\n\r\n`,
  );
  const times: number[] = [];
  const end = performance.now() + seconds * 1000;
  const one = async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    let start = performance.now();
    let bytes = 0;
    await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        open: (socket) => void socket.write(request),
        data(socket, chunk) {
          bytes += chunk.length;
          if (bytes < RESPONSE.length) return;
          bytes = 0;
          const now = performance.now();
          times.push((now - start) * 1000);
          start = now;
          if (now < end) socket.write(request);
          else socket.end();
        },
        close: () => resolve(),
      },
    });
    await promise;
  };
  await Promise.all(Array.from({ length: concurrency }, one));
  return times;
}

async function report(name: string, run: () => Promise<number[]>): Promise<void> {
  const before = process.cpuUsage();
  const times = await run();
  const { user, system } = process.cpuUsage(before);
  const total = times.length;
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(total - 1, Math.floor(total * share))]!.toFixed(1);
  const cpu = `CPU ${(user / total).toFixed(1)} user + ${(system / total).toFixed(1)} system µs each`;
  console.log(`${name}: ${total} exchanges, p50 ${at(0.5)}, p99 ${at(0.99)} µs, ${cpu}`);
}
