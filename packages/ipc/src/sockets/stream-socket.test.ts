import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readlinkSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { testName, watchdog } from "../../test/names.ts";
import type { SystemCallError } from "../errno.ts";
import { libc } from "../libc.ts";
import { SharedMemory } from "../shared-memory.ts";
import { endListening, keepListening } from "./listening-socket.ts";
import { socketCalls } from "./socket-calls.ts";
import { type AcceptedHandler, StreamListener } from "./stream-listener.ts";
import { StreamSocket } from "./stream-socket.ts";

setDefaultTimeout(60_000);

/** Writes down what it is told. */
class Recorder implements AcceptedHandler {
  socket!: StreamSocket;
  bytes = 0;
  told: string[] = [];
  error: SystemCallError | undefined;
  onReceived: (chunk: Uint8Array) => void = () => {};
  onDrained: () => void = () => {};
  readonly #waiting = new Map<string, () => void>();

  opened(socket: StreamSocket): void {
    this.socket = socket;
    this.#tell("opened");
  }

  received(chunk: Uint8Array): void {
    this.bytes += chunk.length;
    this.onReceived(chunk);
    this.#tell("received");
  }

  drained(): void {
    this.onDrained();
    this.#tell("drained");
  }

  halfClosed(): void {
    this.#tell("halfClosed");
  }

  timedOut(): void {
    this.#tell("timedOut");
  }

  closed(error?: SystemCallError): void {
    this.error = error;
    this.#tell("closed");
  }

  /** Resolves when that has been told at least once. */
  async until(what: string): Promise<void> {
    if (this.told.includes(what)) return;
    await watchdog(new Promise<void>((resolve) => void this.#waiting.set(what, resolve)), `${what} (${this.told})`);
  }

  #tell(what: string): void {
    this.told.push(what);
    this.#waiting.get(what)?.();
  }
}

let server: StreamListener;
let port: number;
let listening: number;
let accepted: Recorder[];
let next: PromiseWithResolvers<Recorder>;

beforeEach(() => {
  accepted = [];
  next = Promise.withResolvers();
  const opened = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const fildes = keepListening((opened as typeof opened & { fd: number }).fd);
  ({ port } = opened);
  opened.stop(true);
  server = StreamListener.accept(fildes, () => {
    const recorder = new Recorder();
    accepted.push(recorder);
    queueMicrotask(() => next.resolve(recorder));
    return recorder;
  });
  listening = fildes;
});

afterEach(() => {
  server.stop();
  libc().close(listening);
  for (const { socket } of accepted) socket.terminate();
});

/** A client of Node's, and our end of its connection. */
async function pair(): Promise<{ client: Socket; end: Recorder }> {
  const client = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  client.on("error", () => {});
  const end = await watchdog(next.promise, "a connection");
  next = Promise.withResolvers();
  return { client, end };
}

async function until(condition: () => boolean): Promise<void> {
  await watchdog(
    (async () => {
      while (!condition()) await Bun.sleep(1);
    })(),
    String(condition),
  );
}

/** What a client reads until its peer ends or breaks off. */
function readAll(client: Socket): Promise<{ bytes: number; error?: string }> {
  let bytes = 0;
  const { promise, resolve } = Promise.withResolvers<{ bytes: number; error?: string }>();
  client.on("data", (chunk) => {
    bytes += chunk.length;
  });
  client.on("end", () => resolve({ bytes }));
  client.on("error", (error: NodeJS.ErrnoException) => resolve({ bytes, error: error.code ?? "" }));
  return watchdog(promise, "the end of what the client reads");
}

test("octets come in order, whole, whatever their number", async () => {
  const { client, end } = await pair();
  const sent = new Bun.CryptoHasher("sha256");
  const got = new Bun.CryptoHasher("sha256");
  end.onReceived = (chunk) => void got.update(chunk);
  for (let index = 0; index < 200; index++) {
    const chunk = crypto.getRandomValues(new Uint8Array(1 + ((index * 7919) % 60_000)));
    sent.update(chunk);
    client.write(chunk);
  }
  client.end();
  await end.until("halfClosed");
  expect(got.digest("hex")).toBe(sent.digest("hex"));
  end.socket.end();
  expect(end.told.at(-1)).toBe("closed");
});

test("what the kernel does not take is written again once it has room", async () => {
  const { client, end } = await pair();
  client.pause();
  const body = crypto.getRandomValues(new Uint8Array(65_536));
  const whole = Buffer.concat(Array.from({ length: 400 }, () => body)); // 26 MB: more than any socket buffer
  let sent = end.socket.write(whole);
  expect(sent).toBeLessThan(whole.length);
  end.onDrained = () => {
    sent += end.socket.write(whole.subarray(sent));
    if (sent === whole.length) end.socket.shutdown();
  };
  const hash = new Bun.CryptoHasher("sha256");
  client.on("data", (chunk: Buffer) => void hash.update(chunk));
  const read = readAll(client);
  client.resume();
  expect(await read).toEqual({ bytes: whole.length });
  expect(hash.digest("hex")).toBe(new Bun.CryptoHasher("sha256").update(whole).digest("hex"));
  client.end();
  await end.until("closed");
  expect(end.error).toBeUndefined();
  expect(end.told).not.toContain("halfClosed"); // this side had ended first
});

// Without io_uring nothing is taken that the kernel has not.
test.skipIf(socketCalls() === undefined)(
  "end() leaves it open while the kernel has no room for the last that was written, tells nothing meanwhile, and loses none of it",
  async () => {
    const { client, end } = await pair();
    client.pause();
    const big = new Uint8Array(65_536);
    let sent = 0;
    for (let taken = big.length; taken === big.length; sent += taken) taken = end.socket.write(big);
    const ended = Promise.withResolvers<void>();
    end.onReceived = () => {
      const little = big.subarray(0, 6000); // sent with what others write in this turn
      for (let taken = little.length; taken === little.length; sent += taken) taken = end.socket.write(little);
      sent += end.socket.write(little);
      end.socket.end();
      end.socket.resume();
      end.socket.timeout(1);
      ended.resolve();
    };
    client.write("now");
    await watchdog(ended.promise, "the end");
    client.write("more, which nobody reads");
    await Bun.sleep(50);
    expect([end.told, end.socket.write(big)]).toEqual([["opened", "received"], -1]);
    const read = readAll(client);
    client.resume();
    expect((await read).bytes).toBe(sent);
    await end.until("closed");
    expect(end.told).toEqual(["opened", "received", "closed"]);
    client.end();
  },
);

test("shared memory is sent without a copy, from any position, although its name and descriptor are gone before it is read", async () => {
  const { client, end } = await pair();
  client.pause();
  const name = testName("sent");
  const length = 26 * 1024 * 1024 + 123; // more than any socket buffer
  const writer = SharedMemory.create(name, length);
  const block = crypto.getRandomValues(new Uint8Array(65_536));
  for (let at = 0; at < length; at += block.length) writer.bytes.set(block.subarray(0, length - at), at);
  const from = 4097;
  const expected = new Bun.CryptoHasher("sha256").update("head ").update(writer.bytes.subarray(from)).digest("hex");
  const memory = SharedMemory.open(name, { readOnly: true, keepsDescriptor: true });
  writer.unlink();
  writer.close();
  expect(end.socket.write(Buffer.from("head "), true)).toBe(5);
  let sent = from;
  end.onDrained = () => {
    sent += end.socket.sendFile(memory.fildes!, sent, length - sent);
    if (sent < length) return;
    memory.close();
    end.socket.shutdown();
  };
  end.onDrained();
  expect(sent).toBeGreaterThan(from);
  expect(sent).toBeLessThan(length);
  const hash = new Bun.CryptoHasher("sha256");
  client.on("data", (chunk: Buffer) => void hash.update(chunk));
  const read = readAll(client);
  client.resume();
  expect(await read).toEqual({ bytes: 5 + length - from });
  expect(hash.digest("hex")).toBe(expected);
  client.end();
});

test("what is written last, and the end behind it, arrive together", async () => {
  const { client, end } = await pair();
  const read = readAll(client);
  expect(end.socket.write(Buffer.from("all of it"), true)).toBe(9);
  end.socket.shutdown();
  expect(await read).toEqual({ bytes: 9 });
  client.end();
  await end.until("closed");
  expect(end.error).toBeUndefined();
});

test("a file that ends before what is to be sent of it breaks the connection, and the caller is told why", async () => {
  const { client, end } = await pair();
  const read = readAll(client);
  using memory = SharedMemory.anonymous(1000);
  expect(end.socket.sendFile(memory.fildes!, 0, 1000)).toBe(1000);
  expect(end.socket.sendFile(memory.fildes!, 900, 101)).toBe(-1);
  await end.until("closed");
  expect(end.error?.code).toBe("ENODATA");
  expect((await read).bytes).toBeLessThanOrEqual(1100);
  expect(end.socket.sendFile(memory.fildes!, 0, 1)).toBe(-1);
});

test("while it is paused nothing is received, and the peer has to wait", async () => {
  const { client, end } = await pair();
  end.socket.pause();
  const bytes = 32 * 1024 * 1024;
  client.write(Buffer.alloc(bytes));
  client.end();
  await Bun.sleep(200);
  expect(end.told).toEqual(["opened"]);
  expect(client.bytesWritten - client.writableLength).toBeLessThan(bytes);
  end.onReceived = () => {
    end.socket.pause();
    setTimeout(() => end.socket.resume(), 0);
  };
  end.socket.resume();
  await end.until("halfClosed");
  expect(end.bytes).toBe(bytes);
});

test("a reset is told as an error, after what came before it", async () => {
  const { client, end } = await pair();
  end.socket.pause();
  client.write("the last words");
  await Bun.sleep(50);
  client.resetAndDestroy();
  await end.until("closed");
  expect(end.bytes).toBe("the last words".length);
  expect(end.error?.code).toBe("ECONNRESET");
  expect([end.socket.write(Buffer.from("x")), end.socket.fd, end.socket.remoteAddress]).toEqual([-1, -1, undefined]);
});

test("a write that finds the peer gone is told as an error, never as an end in order", async () => {
  const { client, end } = await pair();
  client.destroy();
  await end.until("halfClosed");
  end.onDrained = () => {};
  while (end.socket.write(Buffer.alloc(1024)) >= 0) await Bun.sleep(1);
  await end.until("closed");
  expect(["EPIPE", "ECONNRESET"]).toContain(end.error?.code ?? "");
});

test("what the peer has sent before its reset is told, although a write has found the reset first", async () => {
  const { client, end } = await pair();
  end.socket.pause(); // nothing is read before the write
  client.write("413, and all of it");
  await Bun.sleep(50);
  client.resetAndDestroy();
  await until(() => end.socket.write(Buffer.alloc(16)) < 0 || end.told.includes("closed"));
  await end.until("closed");
  expect(end.bytes).toBe("413, and all of it".length);
  expect(["EPIPE", "ECONNRESET"]).toContain(end.error?.code ?? "");
  expect(end.told).not.toContain("halfClosed");
});

test("a reset that a write finds within its own turn is no end in order", async () => {
  const { client, end } = await pair();
  end.onReceived = () => {
    Bun.sleepSync(100); // the reset comes meanwhile
    end.socket.write(Buffer.alloc(16));
  };
  client.write("words");
  setTimeout(() => client.resetAndDestroy(), 0);
  await end.until("closed");
  expect(end.told).not.toContain("halfClosed");
});

test("what is behind urgent data is read, too", async () => {
  const { end } = await pair();
  const sender = Bun.spawnSync([
    "python3",
    "-c",
    `import socket; s=socket.create_connection(("127.0.0.1",${port})); s.sendall(b"0123456789"); s.send(b"!",socket.MSG_OOB); s.sendall(b"0123456789"); import time; time.sleep(0.05)`,
  ]);
  expect(sender.exitCode).toBe(0);
  await until(() => accepted.length === 2);
  await accepted[1]!.until("halfClosed");
  expect(accepted[1]!.bytes).toBe(20);
  end.socket.end();
});

test("terminate breaks off: the client sees a reset, not an end", async () => {
  const { client, end } = await pair();
  const read = readAll(client);
  end.socket.write(Buffer.from("half"));
  end.socket.terminate();
  expect(await read).toMatchObject({ error: "ECONNRESET" });
  expect(end.told).toEqual(["opened", "closed"]);
});

test("end lets what was written reach the client", async () => {
  const { client, end } = await pair();
  const read = readAll(client);
  end.socket.write(Buffer.from("goodbye"));
  end.socket.end();
  expect(await read).toEqual({ bytes: 7 });
  client.destroy();
});

test("a time-out is told once, and 0 calls it off", async () => {
  const [first, second] = [await pair(), await pair()];
  first.end.socket.timeout(0.01);
  second.end.socket.timeout(0.01);
  second.end.socket.timeout(0);
  await first.end.until("timedOut");
  await Bun.sleep(1500);
  expect(first.end.told).toEqual(["opened", "timedOut"]);
  expect(second.end.told).toEqual(["opened"]);
});

test("a listener whose listening somebody has ended accepts no more, and does not take a processor for it", async () => {
  const { end } = await pair();
  endListening(listening);
  await Bun.sleep(50);
  const before = process.cpuUsage();
  await Bun.sleep(300);
  const { user, system } = process.cpuUsage(before);
  expect(user + system).toBeLessThan(200_000); // microseconds: a loop that spins takes all 300 ms
  end.socket.write(Buffer.from("goes on"));
});

test("the peer's address is told until it is closed", async () => {
  const { end } = await pair();
  expect(end.socket.remoteAddress).toBe("127.0.0.1");
});

test("a connection that Bun has made is taken over, and its peer does not notice", async () => {
  const mine = new Recorder();
  const bunClosed = Promise.withResolvers<void>();
  const options = { hostname: "127.0.0.1", port };
  await Bun.connect({
    ...options,
    socket: {
      open(socket) {
        mine.opened(StreamSocket.takeOver(socket, mine));
      },
      data() {},
      close: () => bunClosed.resolve(),
    },
  });
  await watchdog(bunClosed.promise, "the close of Bun's socket");
  const end = await watchdog(next.promise, "a connection");
  mine.socket.write(Buffer.from("ping"));
  await end.until("received");
  end.socket.write(Buffer.from("pong!"));
  await mine.until("received");
  expect([end.bytes, mine.bytes]).toEqual([4, 5]);
  mine.socket.end();
  await end.until("halfClosed");
  expect(end.error).toBeUndefined();
});

test("a thousand connections come and go, and leave no descriptor", async () => {
  const sockets = () =>
    readdirSync("/proc/self/fd").filter((fildes) => {
      try {
        return readlinkSync(`/proc/self/fd/${fildes}`).startsWith("socket:");
      } catch {
        return false;
      }
    }).length;
  await pair();
  const before = sockets();
  for (let index = 0; index < 1000; index++) {
    const { client, end } = await pair();
    end.onReceived = (chunk) => void end.socket.write(chunk);
    const read = readAll(client);
    client.write("?");
    client.end();
    await end.until("halfClosed");
    end.socket.end();
    expect(await read).toEqual({ bytes: 1 });
    client.destroy();
  }
  await watchdog(
    (async () => {
      while (sockets() > before) await Bun.sleep(10);
    })(),
    "all descriptors closed",
  );
});
