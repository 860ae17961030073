import {
  Doorbell,
  DoorbellRinger,
  MessageQueue,
  Mutex,
  objectName,
  type Segment,
  SegmentPool,
  Semaphore,
  SharedMemory,
} from "../src/index.ts";
import { MARK_WORD, randomOf, SOAK } from "./soak-layout.ts";

// A process that lives to be killed: it takes, holds, gives back, replaces and waits for segments, works under a mutex,
// and keeps a bell, a queue and a semaphore of its own. Whatever it finds wrong it says by ending with code 3.
const [prefix, seed] = process.argv.slice(2);
const name = (suffix: string) => objectName(`${prefix}${suffix}`);
const random = randomOf(Number(seed));

function wrong(what: string): never {
  console.error(`WRONG in process ${process.pid} (seed ${seed}): ${what}`);
  process.exit(3);
}

const memory = SharedMemory.open(name(""));
const mutex = Mutex.at(memory, SOAK.mutex);
const pool = SegmentPool.open(name(".p"));
const member = pool.join();
const held: Segment[] = [];

MessageQueue.create(name(`.q.${process.pid}`), { maxmsg: 2, msgsize: 32 }).trySend(new Uint8Array(32));
Semaphore.create(name(`.s.${process.pid}`), 1);
const own = SharedMemory.create(name(`.m.${process.pid}`), 4096);
Doorbell.listen({ name: name(`.b.${process.pid}`), flag: { memory: own, offset: 0 }, look: () => false });
const ringer = DoorbellRinger.open({ name: name(`.b.${process.pid}`), flag: { memory: own, offset: 0 } });

/** Two words that are equal whenever nobody is inside; a death inside leaves them one apart, for the next to repair. */
function workUnderMutex(): void {
  const outcome = mutex.lock({ timeoutMs: 20_000 });
  if (outcome === undefined) wrong("the mutex could not be had in 20 s");
  const words = memory.i32;
  if (outcome === "owner-died") {
    words[SOAK.ownerDeaths]! += 1;
    words[SOAK.right] = words[SOAK.left]!;
    mutex.consistent();
  }
  if (words[SOAK.left] !== words[SOAK.right]) wrong(`${words[SOAK.left]} is not ${words[SOAK.right]} under the mutex`);
  words[SOAK.left]! += 1;
  for (let i = random(200); i > 0; i--) Atomics.load(words, 0);
  words[SOAK.right]! += 1;
  mutex.unlock();
}

function mark(segment: Segment): void {
  const before = Atomics.exchange(segment.i32, MARK_WORD, process.pid);
  if (before !== 0) wrong(`segment ${segment.id} of generation ${segment.generation} is process ${before}'s as well`);
  held.push(segment);
}

function unmark(segment: Segment): void {
  const before = Atomics.exchange(segment.i32, MARK_WORD, 0);
  if (before !== process.pid) wrong(`segment ${segment.id} was taken away by process ${before}`);
}

/** Most of a life is spent here, so that most deaths happen inside a critical section. */
function hurry(): void {
  for (let i = random(300); i > 0; i--) {
    const segment = member.tryTake();
    if (segment === undefined) continue;
    mark(segment);
    held.pop();
    unmark(segment);
    member.giveBack(segment);
  }
  for (let i = random(100); i > 0; i--) workUnderMutex();
}

async function step(): Promise<void> {
  const choice = random(12);
  if (choice < 3) {
    const segment = member.tryTake();
    if (segment !== undefined) mark(segment);
  } else if (choice < 5) {
    const segment = await member.take({ timeoutMs: random(20) });
    if (segment !== undefined) mark(segment);
  } else if (choice < 6) {
    workUnderMutex();
  } else if (choice < 7) {
    ringer.ring();
    await new Promise(setImmediate);
  } else if (choice < 9) {
    hurry();
  } else if (held.length > 0) {
    const [segment] = held.splice(random(held.length), 1);
    unmark(segment!);
    if (random(8) === 0) member.replace(segment!);
    else member.giveBack(segment!);
  }
}

console.log("ready");
for (;;) await step();
