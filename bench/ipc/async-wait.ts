import { Doorbell, DoorbellRinger, objectName, Semaphore, SharedMemory } from "../../packages/ipc/src/index.ts";
import { benchName, best, microseconds, type Percentiles, percentiles, printMachine } from "./measure.ts";

/**
 * How long does a semaphore post take to another process's event loop and back, both waiting by doorbells? Once with the
 * next question asked at once, once a millisecond after the answer, when both sides sleep.
 */
const RUNS = 3;
const OFFSET = { to: 0, from: 32, toFlag: 64, fromFlag: 128 } as const;
const CASES = [
  { title: "busy", rounds: 30_000, pauseMs: 0 },
  { title: "idle between", rounds: 1_000, pauseMs: 1 },
] as const;

const [role, name, rounds] = process.argv.slice(2);
if (role === "answer") await answer(name!, Number(rounds));
else await ask();

async function ask(): Promise<void> {
  printMachine("there and back between two event loops, by semaphores and doorbells");
  for (const { title, rounds, pauseMs } of CASES) {
    const runs: Percentiles[] = [];
    for (let run = 0; run < RUNS; run++) runs.push(await measure(rounds, pauseMs));
    const { p50, p99 } = best(runs);
    console.log(`${title.padEnd(14)} p50 ${microseconds(p50)}  p99 ${microseconds(p99)}`);
  }
}

async function measure(rounds: number, pauseMs: number): Promise<Percentiles> {
  const memory = SharedMemory.create(benchName("async"), 192);
  try {
    for (const offset of [OFFSET.to, OFFSET.from]) Semaphore.at(memory, offset, 0);
    using bell = Doorbell.listen({
      name: objectName(`${memory.name}.from`),
      flag: { memory, offset: OFFSET.fromFlag },
    });
    const child = Bun.spawn([process.execPath, import.meta.path, "answer", memory.name!, String(rounds)], {
      stdout: "pipe",
      stderr: "inherit",
    });
    await child.stdout.getReader().read();
    using ringer = DoorbellRinger.open({
      name: objectName(`${memory.name}.to`),
      flag: { memory, offset: OFFSET.toFlag },
    });
    const [to, from] = [Semaphore.at(memory, OFFSET.to), Semaphore.at(memory, OFFSET.from)];
    const times = new Float64Array(rounds);
    for (let round = 0; round < rounds; round++) {
      if (pauseMs > 0) await Bun.sleep(pauseMs);
      const start = Bun.nanoseconds();
      to.post();
      ringer.ring();
      if (!(await from.waitAsync({ doorbell: bell, timeoutMs: 10_000 }))) throw new Error("no answer within 10 s");
      times[round] = Bun.nanoseconds() - start;
    }
    await child.exited;
    if (bell.lostWakeups > 0) throw new Error(`${bell.lostWakeups} lost wake-ups`);
    return percentiles(times);
  } finally {
    memory.unlink();
    memory.close();
  }
}

async function answer(name: string, rounds: number): Promise<void> {
  using memory = SharedMemory.open(objectName(name));
  using bell = Doorbell.listen({ name: objectName(`${name}.to`), flag: { memory, offset: OFFSET.toFlag } });
  using ringer = DoorbellRinger.open({ name: objectName(`${name}.from`), flag: { memory, offset: OFFSET.fromFlag } });
  const [to, from] = [Semaphore.at(memory, OFFSET.to), Semaphore.at(memory, OFFSET.from)];
  console.log("ready");
  for (let round = 0; round < rounds; round++) {
    if (!(await to.waitAsync({ doorbell: bell, timeoutMs: 10_000 }))) throw new Error("no question within 10 s");
    from.post();
    ringer.ring();
  }
}
