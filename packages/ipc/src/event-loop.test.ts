import { expect, setDefaultTimeout, test } from "bun:test";
import { testName, watchdog } from "../test/names.ts";
import { Doorbell, DoorbellRinger } from "./doorbell.ts";
import { EventLoop } from "./event-loop.ts";
import { Semaphore } from "./semaphore.ts";
import { SharedMemory } from "./shared-memory.ts";

setDefaultTimeout(60_000);

/** A bell in our event loop keeps it running. */
function openBell(look: () => boolean = () => false) {
  const memory = SharedMemory.create(testName("-m"), 256);
  const name = testName("-bell");
  const bell = Doorbell.listen({ name, flag: { memory, offset: 0 }, loop: EventLoop.current(), look });
  return {
    memory,
    name,
    bell,
    [Symbol.dispose]() {
      bell.close();
      memory.unlink();
      memory.close();
    },
  };
}

test("Bun's timers, immediates, promises and sockets go on while the loop waits", async () => {
  using _ = openBell();
  const told: string[] = [];
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("served") });
  try {
    setTimeout(() => told.push("timer"), 5);
    setImmediate(() => told.push("immediate"));
    told.push(await (await fetch(server.url)).text());
    await Bun.sleep(20);
    const worker = new Worker("data:text/javascript,postMessage('worker')");
    const message = new Promise<string>((resolve) => {
      worker.onmessage = ({ data }) => resolve(data);
    });
    told.push(await watchdog(message, "the worker"));
    worker.terminate();
    expect(told.toSorted()).toEqual(["immediate", "served", "timer", "worker"]);
  } finally {
    server.stop(true);
  }
});

test("what is deferred and what is called at the end of a turn comes, in its order", async () => {
  using _ = openBell();
  await Bun.sleep(5);
  const told: string[] = [];
  const done = Promise.withResolvers<void>();
  EventLoop.defer(() => {
    EventLoop.current().atEndOfTurn(() => told.push("end of turn"));
    queueMicrotask(() => told.push("microtask"));
    EventLoop.defer(() => {
      told.push("next turn");
      done.resolve();
    });
    told.push("turn");
  });
  const callOff = EventLoop.defer(() => told.push("called off"));
  callOff();
  await watchdog(done.promise, "the next turn");
  expect(told).toEqual(["turn", "microtask", "end of turn", "next turn"]);
});

test("a bell in the loop is rung only while its thread waits, and loses nothing", async () => {
  const rounds = 20_000;
  let answer = () => false;
  using bell = openBell(() => answer());
  const asked = Semaphore.at(bell.memory, 64, 0);
  const answered = Semaphore.at(bell.memory, 128, 0);
  answer = () => {
    if (!asked.tryWait()) return false;
    answered.post();
    return true;
  };
  const child = Bun.spawn([process.execPath, "-e", ASKER, bell.memory.name!, bell.name, `${rounds}`], {
    stderr: "inherit",
  });
  try {
    const said = await watchdog(new Response(child.stdout).text(), "all answers");
    expect(said).toBe(`${rounds}`);
    expect(bell.bell.lostWakeups).toBe(0);
    expect(bell.bell.rings).toBeGreaterThan(0);
  } finally {
    child.kill("SIGKILL");
  }
});

const SOURCE = JSON.stringify(new URL("./index.ts", import.meta.url).pathname);

/** Posts, rings, and waits for the answer. */
const ASKER = `
  import { DoorbellRinger, Semaphore, SharedMemory, objectName } from ${SOURCE};
  const [memoryName, name, rounds] = process.argv.slice(-3);
  const memory = SharedMemory.open(objectName(memoryName));
  const asked = Semaphore.at(memory, 64), answered = Semaphore.at(memory, 128);
  const ringer = DoorbellRinger.open({ name: objectName(name), flag: { memory, offset: 0 } });
  let done = 0;
  for (; done < Number(rounds); done++) {
    asked.post();
    ringer.ring();
    if (!answered.wait({ timeoutMs: 5000 })) break;
  }
  await Bun.write(Bun.stdout, String(done));
  process.exit();
`;

test("the bell of a sleeper in this thread is heard, too", async () => {
  let looks = 0;
  using bell = openBell(() => {
    looks += 1;
    return false;
  });
  using ringer = DoorbellRinger.open({ name: bell.name, flag: { memory: bell.memory, offset: 0 } });
  await Bun.sleep(30);
  const before = looks;
  expect(ringer.ring()).toBe(true);
  await watchdog(
    (async () => {
      while (looks === before) await Bun.sleep(1);
    })(),
    "a look",
  );
  expect(bell.bell.rings).toBe(1);
});
