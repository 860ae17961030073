import { readdirSync } from "node:fs";
import { parseArgs } from "node:util";
import { SoakProgress } from "../../../tests/support/soak-progress.ts";
import { clean, list, MessageQueue, Mutex, objectName, SegmentPool, SharedMemory } from "../src/index.ts";
import { MARK_WORD, randomOf, SOAK } from "./soak-layout.ts";

// How it works: processes of soak-child.ts use one pool and one mutex as wildly as they can, and are killed with SIGKILL
// at random moments; a new one replaces each. Meanwhile this process uses the pool too. Now and then all are killed: then
// after reclaim() every segment must be free and takeable exactly once. Run: bun test/soak.ts --kills 10000 [--seed N]
const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "300" },
    seed: { type: "string" },
    processes: { type: "string", default: "4" },
  },
});
const kills = Number(values.kills);
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
const random = randomOf(seed);
const prefix = objectName(`/soak-${process.pid}`);
const SEGMENTS = 24;

/** Nothing may take longer, on however slow a machine; what hangs is killed by this and says where. */
const STEP_TIMEOUT_MS = 30_000;

function fail(what: string): never {
  progress[Symbol.dispose]();
  console.error(`FAILED (--seed ${seed}): ${what}`);
  cleanUp();
  process.exit(1);
}

interface Child {
  readonly process: Bun.Subprocess<"ignore", "pipe", "inherit">;
  readonly ready: Promise<void>;
  isReady: boolean;
}
const children: Child[] = [];
const dead: number[] = [];
const memory = SharedMemory.create(prefix, SOAK.bytes);
const mutex = Mutex.create(memory, SOAK.mutex);
const pool = SegmentPool.create(objectName(`${prefix}.p`), { segments: SEGMENTS, segmentBytes: 4096 });
let member = pool.join();
let killed = 0;
let reclaimed = 0;
let slowestTakeMs = 0;
let keptOnce = 0;
let expectedEnd = false;
let nextCheck = 25;
using progress = new SoakProgress({
  label: "soak:ipc",
  part: () => killed / kills,
  counts: () => `${killed} of ${kills} kills`,
});

function spawn(): Child {
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/soak-child.ts`, prefix, `${random(2 ** 30)}`], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
    onExit: ({ pid, exitCode, signalCode }) => {
      if (signalCode !== "SIGKILL" && !expectedEnd) fail(`process ${pid} ended by itself: ${signalCode ?? exitCode}`);
    },
  });
  const started: Child = {
    process: child,
    isReady: false,
    ready: child.stdout
      .getReader()
      .read()
      .then(() => {
        started.isReady = true;
      }),
  };
  return started;
}

async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  const timer = setTimeout(() => fail(`${what} took more than ${STEP_TIMEOUT_MS} ms`), STEP_TIMEOUT_MS);
  const result = await promise;
  clearTimeout(timer);
  return result;
}

async function kill(child: Child): Promise<void> {
  if (random(10) > 0) await within(child.ready, "a start"); // one in ten is killed on its way
  await Bun.sleep(random(12));
  child.process.kill("SIGKILL");
  await within(child.process.exited, "an end");
  dead.push(child.process.pid);
  killed += 1;
}

async function useThePool(): Promise<void> {
  const start = performance.now();
  const segment = await within(member.take({ timeoutMs: 10_000 }), "a take");
  if (segment === undefined) fail(`no segment in 10 s: ${JSON.stringify(pool.counters())}`);
  slowestTakeMs = Math.max(slowestTakeMs, performance.now() - start);
  const before = Atomics.exchange(segment.i32, MARK_WORD, process.pid);
  if (before !== 0) fail(`segment ${segment.id} is process ${before}'s as well`);
  Atomics.store(segment.i32, MARK_WORD, 0);
  member.giveBack(segment);
}

function checkThatAllIsWhole(): void {
  reclaimed += pool.reclaim();
  const counters = pool.counters();
  if (counters.free !== SEGMENTS || counters.held !== 0 || counters.waiting !== 0 || counters.missing !== 0) {
    fail(`the pool is not whole: ${JSON.stringify(counters)}`);
  }
  const segments = Array.from({ length: SEGMENTS }, () => member.tryTake() ?? fail("an id is lost"));
  if (member.tryTake() !== undefined || new Set(segments.map(({ id }) => id)).size !== SEGMENTS)
    fail("an id is queued twice");
  for (const segment of segments) {
    if (segment.i32[MARK_WORD] !== 0) fail(`segment ${segment.id} still is process ${segment.i32[MARK_WORD]}'s`);
    member.giveBack(segment);
  }
  const outcome = mutex.lock({ timeoutMs: 10_000 });
  if (outcome === undefined) fail("the mutex can not be had although nobody lives");
  if (outcome === "owner-died") {
    memory.i32[SOAK.right] = memory.i32[SOAK.left]!;
    memory.i32[SOAK.ownerDeaths]! += 1;
    mutex.consistent();
  }
  if (memory.i32[SOAK.left] !== memory.i32[SOAK.right]) fail("the mutex let two in");
  mutex.unlock();
  const files = filesOf().filter((file) => file.includes(".p.seg.") || file.includes(".p.bell."));
  const bells = files.filter((file) => file.includes(".bell.") && !file.endsWith(`.bell.${member.slot}`));
  if (files.filter((file) => file.includes(".seg.")).length !== SEGMENTS || bells.length > 0) {
    fail(`the pool left objects behind: ${files.join(" ")}`);
  }
}

function filesOf(): string[] {
  return readdirSync("/dev/shm").filter(
    (file) => file.startsWith(prefix.slice(1)) || file.startsWith(`sem.${prefix.slice(1)}`),
  );
}

function cleanUp(): void {
  expectedEnd = true;
  for (const child of children) child.process.kill("SIGKILL");
  SegmentPool.unlinkAll(objectName(`${prefix}.p`));
  memory.unlink();
  for (let tries = 0; tries < 100 && filesOf().length > 0; tries++) {
    clean({ prefix });
    Bun.sleepSync(20); // the killed take a moment to die
  }
}

/** The objects that a child makes for itself, as far as they exist. */
function objectsOf(pid: number): string[] {
  const own = filesOf().filter((file) => /\.[mbs]\.\d+$/.test(file) && file.endsWith(`.${pid}`));
  try {
    MessageQueue.open(objectName(`${prefix}.q.${pid}`)).close();
    own.push("queue");
  } catch {
    // none
  }
  return own;
}

/**
 * clean() has to remove what the dead have made, and nothing of the living. It may keep something once, while another
 * program on this machine that looks for left-overs has it open: then the next one has to remove it.
 */
async function checkThatCleanTellsTheDeadFromTheLiving(): Promise<void> {
  const gone = dead.splice(0);
  for (let tries = 0; ; tries++) {
    clean({ prefix });
    for (const { process, isReady } of children) {
      const own = objectsOf(process.pid);
      if (isReady && process.signalCode === null && own.length !== 4) {
        fail(`clean() took something from the living process ${process.pid}: only ${own.join(" ")} is left`);
      }
    }
    const left = gone.flatMap((pid) => objectsOf(pid).map((object) => `${object} of ${pid}`));
    if (left.length === 0) return;
    if (tries === 20) fail(`clean() left ${left.join(", ")}: ${JSON.stringify(list({ prefix }))}`);
    keptOnce += 1;
    await Bun.sleep(50);
  }
}

for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => fail(`ended by ${signal}`));
progress.say(`soak: ${kills} kills, seed ${seed}`);
const began = performance.now();
for (let i = 0; i < Number(values.processes); i++) children.push(spawn());
while (killed < kills) {
  const victim = random(children.length);
  await Promise.all([kill(children[victim]!), useThePool()]);
  if (random(10) === 0) await checkThatCleanTellsTheDeadFromTheLiving();
  children[victim] = spawn();
  if (killed < nextCheck) continue;
  nextCheck = killed + 25;
  await Promise.all(children.map((child) => kill(child)));
  checkThatAllIsWhole();
  await checkThatCleanTellsTheDeadFromTheLiving();
  member.close();
  member = pool.join();
  for (let i = 0; i < children.length; i++) children[i] = spawn();
  if (killed % 500 < 30) progress.say(`${killed} kills, ${Math.round((performance.now() - began) / 1000)} s`);
}
await Promise.all(children.map((child) => kill(child)));
checkThatAllIsWhole();
const { replaced, takes } = pool.counters();
progress.say(
  JSON.stringify({
    kills: killed,
    seconds: Math.round((performance.now() - began) / 1000),
    takes,
    reclaimed,
    replaced,
    keptOnce,
    diedInsideTheMutex: memory.i32[SOAK.ownerDeaths],
    slowestTakeMs: Math.round(slowestTakeMs),
  }),
);
pool.close();
cleanUp();
const left = filesOf();
if (left.length > 0) fail(`left in /dev/shm: ${left.join(" ")}`);
