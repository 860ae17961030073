import { expect, setDefaultTimeout, test } from "bun:test";
import { connect } from "node:net";
import { watchdog } from "../../test/names.ts";
import { seeded } from "../../test/seeded.ts";
import { EventLoop } from "../event-loop.ts";
import { libc } from "../libc.ts";
import { endListening, keepListening } from "./listening-socket.ts";
import { LEVEL, SO } from "./numbers.ts";
import { type AcceptedHandler, StreamListener } from "./stream-listener.ts";
import type { StreamSocket } from "./stream-socket.ts";

setDefaultTimeout(60_000);

const CONNECTIONS = 40;
/** Less than what is written in a turn: the kernel has no room for all of it. */
const SEND_BUFFER_BYTES = 4096;
const DOWN_BYTES_MAX = 300_000;
const UP_BYTES_MAX = 60_000;
const PIECE_BYTES_MAX = 9_000;

/** What byte `at` of a stream is. */
const byteAt = (stream: number, at: number) => (at * 31 + stream * 7 + (at >> 8)) & 255;

function bytesOf(stream: number, from: number, to: number): Uint8Array {
  return Uint8Array.from({ length: to - from }, (_, index) => byteAt(stream, from + index));
}

/** Follows a stream and finds the first byte that is not its. */
class Follower {
  count = 0;
  wrong: string | undefined;
  readonly #stream: number;

  constructor(stream: number) {
    this.#stream = stream;
  }

  take(chunk: Uint8Array): void {
    for (const byte of chunk) {
      if (byte !== byteAt(this.#stream, this.count)) this.wrong ??= `byte ${this.count} of stream ${this.#stream}`;
      this.count += 1;
    }
  }
}

/** Answers what it receives in pieces of all sizes, now and then has somebody else wait, and ends in one way or another. */
class Talker implements AcceptedHandler {
  socket!: StreamSocket;
  up: Follower | undefined;
  written = 0;
  isClosed = false;
  #downBytes = 0;
  #upBytes = 0;
  #stream = 0;
  readonly #random: () => number;
  readonly #all: Talker[];

  constructor(random: () => number, all: Talker[]) {
    this.#random = random;
    this.#all = all;
    all.push(this);
  }

  opened(socket: StreamSocket): void {
    this.socket = socket;
  }

  received(chunk: Uint8Array): void {
    let octets = chunk;
    if (this.up === undefined) {
      const view = new DataView(octets.buffer, octets.byteOffset, 12); // all of it comes in one packet
      this.#stream = view.getInt32(0);
      this.#upBytes = view.getInt32(4);
      this.#downBytes = view.getInt32(8);
      this.up = new Follower(-this.#stream);
      octets = octets.subarray(12);
    }
    this.up.take(octets);
    this.#interrupt();
    this.#write(this.#random() * 40_000);
  }

  drained(): void {
    this.#write(this.#random() * 40_000 + 1);
  }

  halfClosed(): void {}

  timedOut(): void {}

  closed(): void {
    this.isClosed = true;
  }

  /** Somebody, who may have been about to be told of what has come, is to wait for it. */
  #interrupt(): void {
    if (this.#random() < 0.7) return;
    const { socket } = this.#all[Math.floor(this.#random() * this.#all.length)]!;
    socket.pause();
    if (this.#random() < 0.5) EventLoop.defer(() => socket.resume());
    else setTimeout(() => socket.resume(), this.#random() * 5);
  }

  /** So many bytes, or as many as there is room for, or all that are left once everything has come. */
  #write(bytes: number): void {
    const hasAll = this.up!.count === this.#upBytes;
    const end = hasAll ? this.#downBytes : Math.min(this.#downBytes, this.written + Math.floor(bytes));
    while (this.written < end) {
      const piece = Math.min(end - this.written, 1 + Math.floor(this.#random() * PIECE_BYTES_MAX));
      const taken = this.socket.write(bytesOf(this.#stream, this.written, this.written + piece), this.#random() < 0.1);
      if (taken < 0) return;
      this.written += taken;
      if (taken < piece) return;
    }
    if (!hasAll || this.written < this.#downBytes) return;
    const way = this.#random();
    if (way < 0.3) this.socket.end();
    else if (way < 0.6) this.socket.shutdown();
    else this.socket.linger(60);
  }
}

/** Sends a stream in pieces, reads another one slowly. */
async function talk(port: number, stream: number, random: () => number): Promise<Follower & { expected: number }> {
  const upBytes = Math.floor(random() * UP_BYTES_MAX) + 1;
  const expected = Math.floor(random() * DOWN_BYTES_MAX);
  const down = Object.assign(new Follower(stream), { expected });
  const client = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  const ended = Promise.withResolvers<void>();
  client.on("error", ended.reject);
  client.on("end", ended.resolve);
  client.on("data", (chunk: Buffer) => {
    down.take(chunk);
    if (random() < 0.7) return;
    client.pause();
    setTimeout(() => client.resume(), random() * 4);
  });
  const head = new DataView(new ArrayBuffer(12));
  for (const [index, value] of [stream, upBytes, expected].entries()) head.setInt32(index * 4, value);
  client.write(new Uint8Array(head.buffer));
  for (let at = 0; at < upBytes; ) {
    const piece = Math.min(upBytes - at, 1 + Math.floor(random() * PIECE_BYTES_MAX * 3));
    client.write(bytesOf(-stream, at, at + piece));
    at += piece;
    if (random() < 0.5) await Bun.sleep(random() * 3);
  }
  await ended.promise;
  client.end();
  return down;
}

test("what many sockets of a thread read and write in one turn is each one's own, in its order, whoever is paused, slow or ended meanwhile", async () => {
  const random = seeded();
  const opened = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = opened;
  const listening = keepListening((opened as typeof opened & { fd: number }).fd);
  opened.stop(true);
  libc().setsockopt(listening, LEVEL.SOCKET, SO.SNDBUF, Int32Array.of(SEND_BUFFER_BYTES), 4); // inherited by what is accepted
  const talkers: Talker[] = [];
  const server = StreamListener.accept(listening, () => new Talker(random, talkers));
  try {
    const clients = Array.from({ length: CONNECTIONS }, (_, index) => talk(port, index + 1, random));
    for (const { count, wrong, expected } of await watchdog(Promise.all(clients), "all conversations", 50_000))
      expect({ count, wrong }).toEqual({ count: expected, wrong: undefined });
    expect(talkers).toHaveLength(CONNECTIONS);
    for (const { up } of talkers) expect(up?.wrong).toBeUndefined();
    const deadline = performance.now() + 20_000;
    while (talkers.some(({ isClosed }) => !isClosed) && performance.now() < deadline) await Bun.sleep(2);
    expect(talkers.every(({ isClosed }) => isClosed)).toBeTrue();
  } finally {
    server.stop();
    endListening(listening);
    libc().close(listening);
  }
});
