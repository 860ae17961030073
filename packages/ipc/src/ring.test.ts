import { afterEach, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { seeded } from "../test/seeded.ts";
import { type ObjectName, objectName, pathOf } from "./object-name.ts";
import { Ring } from "./ring.ts";
import { END, RING } from "./ring-layout.ts";
import { SharedMemory } from "./shared-memory.ts";

const INDEX = new URL("ring.ts", import.meta.url).href;
const NAMES = new URL("object-name.ts", import.meta.url).href;
const made: Ring[] = [];

function freshName(): ObjectName {
  return objectName(`/test-${process.pid}-${Math.random().toString(36).slice(2)}`);
}

/** A ring that is unlinked and closed after the test. */
function makeRing(capacity: number, name = freshName()): Ring {
  const ring = Ring.create(name, capacity);
  made.push(ring);
  return ring;
}

afterEach(() => {
  for (const ring of made.splice(0)) {
    ring.unlink();
    ring.close();
  }
});

/** Another process that runs `body` with `name` and `Ring` at hand. */
function spawn(name: ObjectName, body: string) {
  const source = `import { Ring } from ${JSON.stringify(INDEX)}; import { objectName } from ${JSON.stringify(NAMES)};
    const name = objectName(${JSON.stringify(name)}); ${body}`;
  return Bun.spawn([process.execPath, "-e", source], { stdout: "pipe", stderr: "inherit" });
}

/** Byte number i of every test stream: a sequence that does not repeat with any power of two. */
function fill(bytes: Uint8Array, from: number): void {
  for (let i = 0; i < bytes.length; i++) bytes[i] = ((from + i) * 31) % 251;
}

const SUM = `(bytes, from) => { for (let i = 0; i < bytes.length; i++) if (bytes[i] !== ((from + i) * 31) % 251) throw new Error("wrong byte at " + (from + i)); }`;
const check = new Function(`return ${SUM}`)() as (bytes: Uint8Array, from: number) => void;

test("Ring.create() refuses a capacity that is no power of two from 64 to 2^30", () => {
  for (const capacity of [0, 1, 63, 65, 100, -64, 64.5, 2 ** 31, Number.NaN]) {
    expect(() => Ring.create(freshName(), capacity)).toThrow(RangeError);
  }
  expect(makeRing(64).capacity).toBe(64);
});

test("Ring.create() refuses a name that leaves no room for the doorbells' names, and makes nothing", () => {
  const name = objectName(freshName().padEnd(249, "x"));
  expect(() => Ring.create(name, 64)).toThrow(expect.objectContaining({ code: "ERR_IPC_NAME" }));
  expect(existsSync(pathOf(name))).toBe(false);
});

test("Ring.open() refuses what is no ring, another version, and a capacity that the object does not hold", () => {
  const name = freshName();
  using memory = SharedMemory.create(name, RING.bytes + 128);
  const layout = expect.objectContaining({ code: "ERR_IPC_RING_LAYOUT" });
  try {
    expect(() => Ring.open(name)).toThrow(layout);
    memory.i32[RING.magic >> 2] = 0x474e4952;
    memory.i32[RING.version >> 2] = 2;
    memory.i32[RING.capacity >> 2] = 128;
    expect(() => Ring.open(name)).toThrow(layout);
    memory.i32[RING.version >> 2] = 1;
    for (const capacity of [256, 2 ** 30, 0, -1, 65]) {
      memory.i32[RING.capacity >> 2] = capacity;
      expect(() => Ring.open(name)).toThrow(layout);
    }
    memory.i32[RING.capacity >> 2] = 128;
    using ring = Ring.open(name);
    expect(ring.capacity).toBe(128);
  } finally {
    memory.unlink();
  }
});

test("Ring.writer() and reader() can each be taken once", () => {
  const name = freshName();
  const ring = makeRing(64, name);
  ring.writer();
  ring.reader();
  using other = Ring.open(name);
  const taken = expect.objectContaining({ code: "ERR_IPC_RING_TAKEN" });
  expect(() => ring.writer()).toThrow(taken);
  expect(() => other.reader()).toThrow(taken);
});

test("a ring carries bytes in order through every fill level, wrapping, and says full and empty", () => {
  const random = seeded();
  const ring = makeRing(256);
  const [writer, reader] = [ring.writer(), ring.reader()];
  let [written, read, fulls, empties] = [0, 0, 0, 0];
  for (let step = 0; step < 50_000; step++) {
    const bytes = new Uint8Array(Math.floor(random() * 300));
    fill(bytes, written);
    const taken = writer.tryWrite(bytes);
    expect(taken).toBe(Math.min(bytes.length, 256 - (written - read)));
    if (taken < bytes.length) fulls++;
    written += taken;
    const into = new Uint8Array(1 + Math.floor(random() * 300)).fill(0xff);
    const length = reader.tryRead(into);
    if (length === undefined) {
      empties++;
      expect(written).toBe(read);
      continue;
    }
    check(into.subarray(0, length), read);
    expect(into.subarray(length).every((byte) => byte === 0xff)).toBe(true);
    read += length;
  }
  expect(written - read).toBeLessThanOrEqual(256);
  expect(fulls).toBeGreaterThan(0);
  expect(empties).toBeGreaterThan(0);
});

test("a ring's positions pass 2^32 without a wrong byte", () => {
  const name = freshName();
  const ring = makeRing(64, name);
  using memory = SharedMemory.open(name);
  for (const end of [RING.writer, RING.reader]) memory.i32[(end + END.position) >> 2] = -1000; // 1000 bytes before 2^32
  const [writer, reader] = [ring.writer(), ring.reader()];
  const into = new Uint8Array(48);
  for (let sent = 0; sent < 3000; sent += 48) {
    const bytes = new Uint8Array(48);
    fill(bytes, sent);
    expect(writer.tryWrite(bytes)).toBe(48);
    expect(reader.tryRead(into)).toBe(48);
    check(into, sent);
  }
  expect(memory.i32[(RING.writer + END.position) >> 2]).toBe(3024 - 1000);
});

test("RingReader.tryRead() gives what is left, then 0, once the writer has closed", () => {
  const ring = makeRing(64);
  const [writer, reader] = [ring.writer(), ring.reader()];
  const into = new Uint8Array(64);
  expect(reader.tryRead(into)).toBeUndefined();
  writer.tryWrite(new Uint8Array(10));
  writer.close();
  expect(() => writer.tryWrite(new Uint8Array(1))).toThrow(expect.objectContaining({ code: "ERR_IPC_RING_CLOSED" }));
  expect(reader.tryRead(into)).toBe(10);
  expect(reader.tryRead(into)).toBe(0);
  expect(reader.read(into)).toBe(0);
  expect(() => reader.tryRead(new Uint8Array(0))).toThrow(RangeError);
});

test("RingWriter.tryWrite() throws ERR_IPC_RING_CLOSED once the reader has closed", () => {
  const ring = makeRing(64);
  const [writer, reader] = [ring.writer(), ring.reader()];
  writer.tryWrite(new Uint8Array(64));
  reader.close();
  const closed = expect.objectContaining({ code: "ERR_IPC_RING_CLOSED" });
  expect(() => writer.tryWrite(new Uint8Array(1))).toThrow(closed);
  expect(() => writer.write(new Uint8Array(1))).toThrow(closed);
});

test("a blocking read and a blocking write wait at least their time, then say so", () => {
  const ring = makeRing(64);
  const [writer, reader] = [ring.writer(), ring.reader()];
  const start = performance.now();
  expect(reader.read(new Uint8Array(8), { timeoutMs: 150 })).toBeUndefined();
  expect(performance.now() - start).toBeGreaterThanOrEqual(149);
  expect(writer.write(new Uint8Array(100), { timeoutMs: 50 })).toBe(64);
  expect(performance.now() - start).toBeGreaterThanOrEqual(198);
  expect(writer.write(new Uint8Array(1), { timeoutMs: 0 })).toBe(0);
});

test("an asynchronous wait ends with its time, its signal, or when the end is closed", async () => {
  const ring = makeRing(64);
  const [writer, reader] = [ring.writer(), ring.reader()];
  expect(await reader.readAsync(new Uint8Array(8), { timeoutMs: 30 })).toBeUndefined();
  const abort = new AbortController();
  const reading = reader.readAsync(new Uint8Array(8), { signal: abort.signal });
  abort.abort(new Error("enough"));
  expect(reading).rejects.toThrow("enough");
  expect(await writer.writeAsync(new Uint8Array(100), { timeoutMs: 30 })).toBe(64);
  const late = writer.writeAsync(new Uint8Array(1));
  writer.close();
  expect(late).rejects.toMatchObject({ code: "ERR_IPC_RING_CLOSED" });
  await Promise.allSettled([reading, late]);
});

test("an impossible position of the other side is refused before a byte is copied", () => {
  for (const [end, position] of [
    [RING.writer, 65],
    [RING.writer, -1],
    [RING.reader, 11],
    [RING.reader, -1],
  ] as const) {
    const name = freshName();
    const ring = makeRing(64, name);
    using memory = SharedMemory.open(name);
    const [writer, reader] = [ring.writer(), ring.reader()];
    writer.tryWrite(new Uint8Array(10));
    memory.i32[(end + END.position) >> 2] = position;
    const use = () => (end === RING.writer ? reader.tryRead(new Uint8Array(64)) : writer.tryWrite(new Uint8Array(60)));
    expect(use).toThrow(expect.objectContaining({ code: "ERR_IPC_RING_CORRUPT" }));
  }
});

test("random scribbling over the header gives errors or short counts, never a byte beyond the ring or a hang", () => {
  const random = seeded();
  for (let round = 0; round < 300; round++) {
    const name = freshName();
    using ring = Ring.create(name, 64);
    try {
      using memory = SharedMemory.open(name);
      const [writer, reader] = [ring.writer(), ring.reader()];
      const into = new Uint8Array(200);
      for (let step = 0; step < 20; step++) {
        memory.i32[Math.floor(random() * (RING.room / 4))] = Math.floor((random() - 0.5) * 2 ** (1 + random() * 32));
        for (const act of [() => writer.tryWrite(new Uint8Array(80)), () => reader.tryRead(into)]) {
          try {
            const length = act() ?? 0;
            expect(length).toBeLessThanOrEqual(64);
            expect(length).toBeGreaterThanOrEqual(0);
          } catch (error) {
            expect((error as { code: string }).code).toStartWith("ERR_IPC_RING_");
          }
        }
      }
    } finally {
      ring.unlink();
    }
  }
});

const PARENT_READS = { bytes: 8_000_000, capacity: 4096 };

for (const [how, writing] of [
  ["blocking", "writer.write(piece)"],
  ["asynchronous", "await writer.writeAsync(piece)"],
] as const) {
  test(`another process's ${how} writer is read asynchronously, every byte, to the end`, async () => {
    const name = freshName();
    const ring = makeRing(PARENT_READS.capacity, name);
    const child = spawn(
      name,
      `const ring = Ring.open(name); const writer = ring.writer();
       for (let sent = 0; sent < ${PARENT_READS.bytes}; ) {
         const piece = new Uint8Array(Math.min(1 + sent % 7001, ${PARENT_READS.bytes} - sent));
         for (let i = 0; i < piece.length; i++) piece[i] = ((sent + i) * 31) % 251;
         ${writing}; sent += piece.length;
       }
       ring.close();`,
    );
    let read = 0;
    for await (const piece of ring.reader()) {
      check(piece, read);
      read += piece.length;
    }
    expect(read).toBe(PARENT_READS.bytes);
    expect(await child.exited).toBe(0);
  }, 60_000);

  test(`another process's blocking reader gets every byte of this one's asynchronous writer (${how} peer)`, async () => {
    const name = freshName();
    const ring = makeRing(PARENT_READS.capacity, name);
    const reading = how === "blocking" ? "reader.read(into)" : "await reader.readAsync(into)";
    const child = spawn(
      name,
      `const ring = Ring.open(name); const reader = ring.reader(); const into = new Uint8Array(5003); let read = 0;
       const check = ${SUM};
       for (;;) { const length = ${reading}; if (length === 0) break; check(into.subarray(0, length), read); read += length; }
       ring.close(); console.log(read);`,
    );
    const writer = ring.writer();
    for (let sent = 0; sent < PARENT_READS.bytes; ) {
      const piece = new Uint8Array(Math.min(1 + (sent % 6007), PARENT_READS.bytes - sent));
      fill(piece, sent);
      expect(await writer.writeAsync(piece)).toBe(piece.length);
      sent += piece.length;
    }
    writer.close();
    expect(await new Response(child.stdout).text()).toBe(`${PARENT_READS.bytes}\n`);
    expect(await child.exited).toBe(0);
  }, 60_000);
}

test("a writer that is killed is noticed after its last byte, and leaves no doorbell once the ring is unlinked", async () => {
  const name = freshName();
  const ring = makeRing(64, name);
  const child = spawn(
    name,
    `const writer = Ring.open(name).writer(); writer.tryWrite(new Uint8Array(64)); void writer.writeAsync(new Uint8Array(9)); console.log("full");`,
  );
  await child.stdout.getReader().read();
  expect(existsSync(pathOf(objectName(`${name}.writer`)))).toBe(true);
  child.kill("SIGKILL");
  await child.exited;
  const reader = ring.reader();
  const into = new Uint8Array(200);
  let read = 0;
  const died = expect.objectContaining({ code: "ERR_IPC_RING_PEER_DIED" });
  await expect(
    (async () => {
      for (;;) read += (await reader.readAsync(into)) ?? 0;
    })(),
  ).rejects.toThrow(died);
  expect(read).toBe(64);
  expect(() => reader.read(into)).toThrow(died);
  ring.unlink();
  expect(existsSync(pathOf(objectName(`${name}.writer`)))).toBe(false);
}, 20_000);

test("a reader that is killed is noticed by a writer that waits, blocking or not", async () => {
  const name = freshName();
  const ring = makeRing(64, name);
  const child = spawn(name, `Ring.open(name).reader(); console.log("there"); setInterval(() => {}, 1000);`);
  await child.stdout.getReader().read();
  const writer = ring.writer();
  const died = expect.objectContaining({ code: "ERR_IPC_RING_PEER_DIED" });
  const writing = writer.writeAsync(new Uint8Array(65));
  child.kill("SIGKILL");
  await expect(writing).rejects.toThrow(died);
  expect(() => writer.write(new Uint8Array(1))).toThrow(died);
}, 20_000);

test("a Worker that is terminated with its end of a ring is noticed", async () => {
  const name = freshName();
  const ring = makeRing(64, name);
  const source = `import { Ring } from ${JSON.stringify(INDEX)}; Ring.open(${JSON.stringify(name)}).writer().tryWrite(new Uint8Array(5)); postMessage("written");`;
  const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "application/javascript" })));
  const reader = ring.reader();
  await new Promise((resolve, reject) => {
    worker.onmessage = resolve;
    worker.onerror = reject;
  });
  const into = new Uint8Array(64);
  expect(await reader.readAsync(into)).toBe(5);
  const reading = reader.readAsync(into);
  worker.terminate();
  await expect(reading).rejects.toMatchObject({ code: "ERR_IPC_RING_PEER_DIED" });
}, 20_000);

test("closing everything lets the process end and leaves nothing", async () => {
  const name = freshName();
  const child = spawn(
    name,
    `const ring = Ring.create(name, 64); const [writer, reader] = [ring.writer(), ring.reader()];
     const into = new Uint8Array(64);
     const reading = reader.readAsync(into); await writer.writeAsync(new Uint8Array(3)); if (await reading !== 3) throw new Error("not 3");
     const writing = writer.writeAsync(new Uint8Array(100)); await reader.readAsync(into); await writing;
     ring.unlink(); ring.close(); console.log("closed");`,
  );
  expect(await new Response(child.stdout).text()).toBe("closed\n");
  expect(await child.exited).toBe(0);
  for (const file of [name, `${name}.writer`, `${name}.reader`]) expect(existsSync(`/dev/shm${file}`)).toBe(false);
}, 20_000);

test("RingWriter refuses to write into the middle of a writeAsync(), and goes on after it", async () => {
  const ring = makeRing(64);
  const [writer, reader] = [ring.writer(), ring.reader()];
  const writing = writer.writeAsync(new Uint8Array(100).fill(1));
  const into = new Uint8Array(64);
  expect(reader.tryRead(into.subarray(0, 20))).toBe(20); // room, of which the writer does not know yet
  expect(() => writer.tryWrite(new Uint8Array(1).fill(2))).toThrow("is under way");
  expect(() => writer.write(new Uint8Array(1).fill(2))).toThrow("is under way");
  await expect(writer.writeAsync(new Uint8Array(1).fill(2))).rejects.toThrow("is under way");
  for (let left = 80; left > 0; ) {
    const length = (await reader.readAsync(into)) ?? 0;
    expect(into.subarray(0, length).every((byte) => byte === 1)).toBe(true);
    left -= length;
  }
  expect(await writing).toBe(100);
  expect(writer.tryWrite(new Uint8Array(1).fill(2))).toBe(1);
  expect(await writer.writeAsync(new Uint8Array(1).fill(3))).toBe(1);
  expect(reader.tryRead(into)).toBe(2);
});

test("a wait whose time ends beside an impossible position is refused, and NaN is no time", async () => {
  const name = freshName();
  const ring = makeRing(64, name);
  using memory = SharedMemory.open(name);
  const reader = ring.reader();
  const into = new Uint8Array(8);
  const reading = reader.readAsync(into, { timeoutMs: 20 });
  memory.i32[(RING.writer + END.position) >> 2] = 65;
  await expect(reading).rejects.toMatchObject({ code: "ERR_IPC_RING_CORRUPT" });
  memory.i32[(RING.writer + END.position) >> 2] = 0;
  expect(() => reader.read(into, { timeoutMs: Number.NaN })).toThrow(RangeError);
  await expect(reader.readAsync(into, { timeoutMs: Number.NaN })).rejects.toThrow(RangeError);
});

test("Ring.unlink() works once the ring is closed, and twice", () => {
  const name = freshName();
  const ring = Ring.create(name, 64);
  ring.close();
  ring.unlink();
  expect(existsSync(pathOf(name))).toBe(false);
  ring.unlink();
});

test("RingWriter.writeAsync() ends when its time is over, however often the reader makes a little room", async () => {
  const ring = makeRing(64);
  const [writer, reader] = [ring.writer(), ring.reader()];
  const into = new Uint8Array(1);
  const trickle = setInterval(() => reader.tryRead(into), 20);
  try {
    const start = performance.now();
    const written = await writer.writeAsync(new Uint8Array(100_000), { timeoutMs: 200 });
    expect(performance.now() - start).toBeGreaterThanOrEqual(199);
    expect(written).toBeGreaterThanOrEqual(64);
    expect(written).toBeLessThan(100_000);
  } finally {
    clearInterval(trickle);
  }
}, 20_000);
