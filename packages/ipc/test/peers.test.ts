import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { MessageQueue, type ObjectName, objectName, Ring, Semaphore, SharedMemory } from "../src/index.ts";

/**
 * Programs in C and Python that know nothing of this package but docs/ipc-layouts.md exchange queue messages, semaphore
 * posts and ring bytes with Bun. Every byte is checked: they send back what they got, each byte plus 1.
 */
const HERE = new URL("peers/", import.meta.url).pathname;
const WATCHDOG = 60_000;
const LANGUAGES = ["C", "Python"] as const;
type Language = (typeof LANGUAGES)[number];

let build: string;
let commands: Record<Language, string[] | undefined>;
const undo: (() => void)[] = [];

beforeAll(() => {
  build = mkdtempSync(`${tmpdir()}/ipc-peers-`);
  commands = { C: compile(`${build}/peer`), Python: python() };
});

afterAll(() => rmSync(build, { recursive: true, force: true }));

afterEach(() => {
  for (const step of undo.splice(0).reverse()) step();
});

function compile(output: string): string[] | undefined {
  const gcc = Bun.which("gcc");
  if (gcc === null) return undefined;
  const { exitCode, stderr } = Bun.spawnSync([
    gcc,
    "-O2",
    "-Wall",
    "-Werror",
    "-o",
    output,
    `${HERE}peer.c`,
    "-lrt",
    "-lpthread",
  ]);
  if (exitCode !== 0) throw new Error(`Cannot compile peer.c: ${stderr.toString()}`);
  return [output];
}

function python(): string[] | undefined {
  const python3 = Bun.which("python3");
  return python3 === null ? undefined : [python3, `${HERE}peer.py`];
}

/** A running peer; undefined, and said, when its language is not installed here. */
function start(language: Language, ...args: (string | number)[]): Bun.Subprocess | undefined {
  const command = commands[language];
  if (command === undefined) {
    console.warn(`skipped: no ${language === "C" ? "gcc" : "python3"} on this machine`);
    return undefined;
  }
  const child = Bun.spawn([...command, ...args.map(String)], { stdout: "inherit", stderr: "inherit" });
  undo.push(() => child.kill("SIGKILL"));
  return child;
}

function freshName(): ObjectName {
  return objectName(`/test-${process.pid}-${Math.random().toString(36).slice(2)}`);
}

/** Made now, unlinked and closed after the test. */
function temporary<T extends { unlink(): void; close(): void }>(made: T): T {
  undo.push(
    () => made.close(),
    () => made.unlink(),
  );
  return made;
}

for (const language of LANGUAGES) {
  const messages = language === "C" ? 20_000 : 3_000;

  test(
    `${language} answers queue messages byte for byte, with their priority`,
    async () => {
      const shape = { maxmsg: 10, msgsize: 64 };
      const [to, from] = [freshName(), freshName()].map((name) => temporary(MessageQueue.create(name, shape))) as [
        MessageQueue,
        MessageQueue,
      ];
      const peer = start(language, "queue", to.name, from.name, messages);
      if (peer === undefined) return;
      const into = new Uint8Array(64);
      for (let i = 0; i < messages; i++) {
        const message = new Uint8Array(i % 65).map((_, at) => i + at);
        expect(to.send(message, { timeoutMs: 20_000, priority: i % 8 })).toBe(true);
        const length = from.receive(into, { timeoutMs: 20_000 });
        expect(length).toBe(message.length);
        expect(into.subarray(0, length)).toEqual(message.map((byte) => byte + 1));
        expect(from.lastPriority).toBe(i % 8);
      }
      expect(await peer.exited).toBe(0);
    },
    WATCHDOG,
  );

  test(
    `${language} and Bun take turns by two semaphores in shared memory`,
    async () => {
      const memory = temporary(SharedMemory.create(freshName(), 128));
      const [turn, answer] = [Semaphore.at(memory, 0, 0), Semaphore.at(memory, 32, 0)];
      const peer = start(language, "sem", memory.name!, messages);
      if (peer === undefined) return;
      for (let i = 1; i <= messages; i++) {
        turn.post();
        expect(answer.wait({ timeoutMs: 20_000 })).toBe(true);
        expect(memory.i32[16]).toBe(i);
      }
      expect(await peer.exited).toBe(0);
      expect([turn.value, answer.value]).toEqual([0, 0]);
    },
    WATCHDOG,
  );

  test(
    `${language} opens named semaphores that Bun made`,
    async () => {
      const [turn, answer] = [freshName(), freshName()].map((name) => temporary(Semaphore.create(name, 0))) as [
        Semaphore,
        Semaphore,
      ];
      const peer = start(language, "named", turn.name!, answer.name!, messages);
      if (peer === undefined) return;
      for (let i = 0; i < messages; i++) {
        turn.post();
        expect(answer.wait({ timeoutMs: 20_000 })).toBe(true);
      }
      expect(await peer.exited).toBe(0);
    },
    WATCHDOG,
  );

  for (const how of ["asynchronously", "by polling"] as const) {
    test(
      `${language} copies a stream from one ring to another, which Bun writes and reads ${how}`,
      async () => {
        const [to, from] = [4096, 1024].map((capacity) => {
          const name = freshName();
          return { name, ring: temporary(Ring.create(name, capacity)) };
        }) as [{ name: ObjectName; ring: Ring }, { name: ObjectName; ring: Ring }];
        const peer = start(language, "ring-copy", to.name, from.name);
        if (peer === undefined) return;
        const total = language === "C" ? 3_000_000 : 1_000_000;
        const [writer, reader] = [to.ring.writer(), from.ring.reader()];
        const copied = how === "asynchronously" ? readAll(reader) : pollAll(reader);
        for (let sent = 0; sent < total; ) {
          const piece = new Uint8Array(Math.min(1 + (sent % 5003), total - sent)).map((_, at) => (sent + at) % 251);
          if (how === "asynchronously") expect(await writer.writeAsync(piece)).toBe(piece.length);
          else
            for (let done = 0; done < piece.length; done += writer.tryWrite(piece.subarray(done))) await Bun.sleep(0);
          sent += piece.length;
        }
        writer.close();
        expect(await copied).toBe(total);
        expect(await peer.exited).toBe(0);
      },
      WATCHDOG,
    );
  }
}

type Reader = ReturnType<Ring["reader"]>;

async function readAll(reader: Reader): Promise<number> {
  let read = 0;
  for await (const piece of reader) {
    checkPiece(piece, read);
    read += piece.length;
  }
  return read;
}

async function pollAll(reader: Reader): Promise<number> {
  const into = new Uint8Array(700);
  for (let read = 0; ; ) {
    const length = reader.tryRead(into);
    if (length === 0) return read;
    if (length === undefined) {
      await Bun.sleep(0);
      continue;
    }
    checkPiece(into.subarray(0, length), read);
    read += length;
  }
}

function checkPiece(piece: Uint8Array, from: number): void {
  for (const [at, byte] of piece.entries()) {
    if (byte !== (((from + at) % 251) + 1) % 256) throw new Error(`Wrong byte at ${from + at}: ${byte}`);
  }
}
