import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { watchdog } from "../../test/names.ts";
import { libc } from "../libc.ts";
import { keepListening } from "./listening-socket.ts";
import { closeParted } from "./socket-calls.ts";
import { type AcceptedHandler, StreamListener } from "./stream-listener.ts";
import type { StreamSocket } from "./stream-socket.ts";

setDefaultTimeout(60_000);

/** More than are looked after in one go. */
const MANY = 40;
const ANSWER = new Uint8Array(20_000).fill(7);

/** Answers the first octets that come, and lingers. */
class Answerer implements AcceptedHandler {
  socket!: StreamSocket;
  told: string[] = [];
  onClosed: () => void = () => {};

  constructor() {
    answerers.push(this);
  }

  opened(socket: StreamSocket): void {
    this.socket = socket;
  }

  received(): void {
    this.told.push("received");
    this.socket.write(ANSWER, true);
    this.socket.linger(lingerSeconds);
  }

  drained(): void {}

  halfClosed(): void {
    this.told.push("halfClosed");
  }

  timedOut(): void {
    this.told.push("timedOut");
  }

  closed(): void {
    this.told.push("closed");
    this.onClosed();
  }
}

let answerers: Answerer[];
let clients: Socket[];
let lingerSeconds: number;
let listening: number;
let server: StreamListener;
let port: number;

beforeEach(() => {
  answerers = [];
  clients = [];
  lingerSeconds = 60;
  const opened = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  listening = keepListening((opened as typeof opened & { fd: number }).fd);
  ({ port } = opened);
  opened.stop(true);
  server = StreamListener.accept(listening, () => new Answerer());
});

afterEach(() => {
  server.stop();
  libc().close(listening);
  for (const { socket } of answerers) socket.terminate();
  for (const client of clients) client.destroy();
});

/** A client that has sent a request, and what it reads until we end. */
function ask(): { client: Socket; answer: Promise<Buffer> } {
  const client = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  clients.push(client);
  const pieces: Buffer[] = [];
  client.on("data", (piece: Buffer) => pieces.push(piece));
  client.write("a request");
  const answer = new Promise<Buffer>((resolve, reject) => {
    client.on("end", () => resolve(Buffer.concat(pieces)));
    client.on("error", reject);
  });
  return { client, answer: watchdog(answer, "the end of an answer") };
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!condition() && performance.now() < deadline) await Bun.sleep(1);
  expect(condition()).toBeTrue();
}

const areClosed = () => answerers.every(({ told }) => told.at(-1) === "closed");
const descriptors = () => readdirSync("/proc/self/fd").length;

test("many that linger give whole answers, take what still comes, and are closed once when their peers have ended", async () => {
  await ask().answer;
  await until(() => answerers.length === 1); // what is made once in a thread has been made
  clients[0]!.end();
  await until(areClosed);
  const before = descriptors();
  const asked = Array.from({ length: MANY }, ask);
  for (const { client, answer } of asked) {
    expect(Buffer.compare(await answer, ANSWER)).toBe(0);
    client.write("what nobody asked for");
  }
  for (const { client } of asked) client.end();
  await until(() => areClosed() && descriptors() <= before);
  for (const { told } of answerers) expect(told).toEqual(["received", "closed"]);
});

test("closeParted() closes at once those whose peers have ended, and no others", async () => {
  const [ended, open] = [ask(), ask()];
  await Promise.all([ended.answer, open.answer]);
  ended.client.destroy();
  await until(() => {
    closeParted();
    return answerers.some(({ told }) => told.at(-1) === "closed");
  });
  expect(answerers.map(({ told }) => told.at(-1)).sort()).toEqual(["closed", "received"]);
});

test("a peer that never ends, silent or sending on, is let go when its time is over", async () => {
  lingerSeconds = 1;
  const [silent, sending] = [ask(), ask()];
  await Promise.all([silent.answer, sending.answer]);
  sending.client.on("error", () => {}); // it is reset in the end
  const timer = setInterval(() => sending.client.write("more"), 5);
  try {
    await until(areClosed);
    for (const { told } of answerers) expect(told).toEqual(["received", "closed"]);
  } finally {
    clearInterval(timer);
  }
});

test("who is told of an end may end others that linger: each is told once", async () => {
  const asked = Array.from({ length: MANY }, ask);
  await Promise.all(asked.map(({ answer }) => answer));
  for (const [index, answerer] of answerers.entries())
    answerer.onClosed = () => {
      for (const { socket } of answerers.slice(index + 1)) socket.end();
    };
  for (const { client } of asked) client.end();
  await until(areClosed);
  for (const { told } of answerers) expect(told).toEqual(["received", "closed"]);
});
