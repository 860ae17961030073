import { expect, setDefaultTimeout, test } from "bun:test";
import { HAND_OVER, messageOf } from "../test/hand-over-layout.ts";
import { testName, watchdog } from "../test/names.ts";
import { MessageQueue } from "./message-queue.ts";
import type { ObjectName } from "./object-name.ts";
import { Semaphore } from "./semaphore.ts";
import { SharedMemory } from "./shared-memory.ts";

setDefaultTimeout(300_000);

// A million of each: typed arrays that native code still holds have been seen to move after 1,000 to 25,000 calls, once
// the functions that touch them were optimised. What comes back is compared byte by byte.
const MILLION = 1_000_000;

async function withChild(
  what: string,
  rounds: number,
  run: (memory: SharedMemory, name: ObjectName) => void,
  processes = 1,
): Promise<SharedMemory> {
  const name = testName();
  const memory = SharedMemory.create(name, HAND_OVER.bytes);
  const queue = MessageQueue.create(name, { maxmsg: 10, msgsize: 64 });
  const script = `${import.meta.dir}/../test/hand-over-child.ts`;
  const spawn = () => Bun.spawn([process.execPath, script, what, name, `${rounds}`], { stderr: "inherit" });
  const children: ReturnType<typeof spawn>[] = [];
  try {
    Semaphore.at(memory, HAND_OVER.asked, 0);
    Semaphore.at(memory, HAND_OVER.answered, 0);
    for (let i = 0; i < processes; i++) children.push(spawn());
    for (const child of children) await watchdog(child.stdout.getReader().read(), "a start");
    run(memory, name);
    const codes = await watchdog(Promise.all(children.map((child) => child.exited)), "the others", 120_000);
    expect(codes).toEqual(new Array(processes).fill(0));
  } finally {
    for (const child of children) child.kill("SIGKILL");
    queue.unlink();
    queue.close();
    memory.unlink();
  }
  return memory;
}

test("MessageQueue: a million messages to another process, every byte of each", async () => {
  using memory = await withChild("messages", MILLION, (_, name) => {
    using queue = MessageQueue.open(name);
    for (let round = 0; round < MILLION; round++) {
      if (!queue.send(messageOf(round), { timeoutMs: 30_000 })) throw new Error(`no room for message ${round} in 30 s`);
    }
  });
  expect(memory.closed).toBe(false);
});

test("MessageQueue: a million messages sent and received without waiting, every byte of each", () => {
  const name = testName();
  using queue = MessageQueue.create(name, { maxmsg: 10, msgsize: 64 });
  try {
    const into = new Uint8Array(64);
    const view = new DataView(into.buffer); // makes the engine move a small array's bytes
    for (let round = 0; round < MILLION; round++) {
      const message = messageOf(round);
      if (!queue.trySend(message)) throw new Error(`message ${round} found the queue full`);
      const length = queue.tryReceive(into);
      let isSame = length === message.length;
      for (let i = 0; i < message.length; i++) isSame &&= view.getUint8(i) === message[i];
      if (!isSame) throw new Error(`message ${round} came back as ${into.subarray(0, length)}`);
    }
  } finally {
    queue.unlink();
  }
});

test("Semaphore: a word handed to another process and back a million times", async () => {
  using memory = await withChild("semaphores", MILLION, (shared) => {
    const asked = Semaphore.at(shared, HAND_OVER.asked);
    const answered = Semaphore.at(shared, HAND_OVER.answered);
    const { i32 } = shared;
    for (let round = 0; round < MILLION; round++) {
      i32[HAND_OVER.word] = round;
      asked.post();
      if (!answered.wait({ timeoutMs: 30_000 })) throw new Error(`no answer to ${round} in 30 s`);
      if (i32[HAND_OVER.word] !== ~round) throw new Error(`the answer to ${round} is ${i32[HAND_OVER.word]}`);
    }
  });
  expect(Semaphore.at(memory, HAND_OVER.asked).value).toBe(0);
});

test("Atomics: 4 processes add 2,500,000 each to one word, and none is lost", async () => {
  using memory = await withChild("atomics", 2_500_000, () => undefined, 4);
  expect(Atomics.load(memory.i32, HAND_OVER.word)).toBe(10_000_000);
});

test("errno is the failed call's own, a million times", () => {
  const name = testName();
  using queue = MessageQueue.create(name, { maxmsg: 1, msgsize: 8 });
  using memory = SharedMemory.anonymous(32);
  const semaphore = Semaphore.at(memory, 0, 0);
  try {
    const into = new Uint8Array(8);
    for (let round = 0; round < MILLION / 2; round++) {
      if (queue.tryReceive(into) !== undefined) throw new Error("received from an empty queue");
      if (semaphore.tryWait()) throw new Error("waited for nothing");
    }
  } finally {
    queue.unlink();
  }
});

test("Blocking waits go on after a signal, with the time that is left", async () => {
  const name = testName();
  const script = `
    import { MessageQueue, Mutex, objectName, Semaphore, SharedMemory } from ${JSON.stringify(`${import.meta.dir}/index.ts`)};
    process.on("SIGUSR1", () => undefined);
    const memory = SharedMemory.anonymous(64);
    const semaphore = Semaphore.at(memory, 0, 0);
    const queue = MessageQueue.open(objectName(${JSON.stringify(name)}));
    const into = new Uint8Array(8);
    console.log("ready");
    const outcomes = [];
    for (const wait of [
      () => semaphore.wait({ timeoutMs: 400 }),
      () => queue.receive(into, { timeoutMs: 400 }) !== undefined,
      () => (queue.trySend(into), queue.send(into, { timeoutMs: 400 })),
    ]) {
      const start = performance.now();
      outcomes.push(wait(), performance.now() - start >= 400);
    }
    console.log(JSON.stringify(outcomes));
    process.exit(0);
  `;
  using queue = MessageQueue.create(name, { maxmsg: 1, msgsize: 8 });
  const child = Bun.spawn([process.execPath, "-e", script], { stderr: "inherit" });
  try {
    const output = child.stdout.getReader();
    await watchdog(output.read(), "a start");
    const bombard = setInterval(() => child.kill("SIGUSR1"), 5);
    const { value } = await watchdog(output.read(), "the waits");
    clearInterval(bombard);
    expect(JSON.parse(new TextDecoder().decode(value))).toEqual([false, true, false, true, false, true]);
  } finally {
    child.kill("SIGKILL");
    queue.unlink();
  }
});
