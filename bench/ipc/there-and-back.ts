import { MessageQueue, objectName, Semaphore, SharedMemory } from "../../packages/ipc/src/index.ts";
import {
  benchName,
  best,
  microseconds,
  outputOf,
  type Percentiles,
  percentiles,
  printMachine,
  withCompiled,
} from "./measure.ts";

/**
 * How long does a semaphore post, or a queue message of 64 bytes, take to another process and back when both sides block,
 * beside the same loop in C? The runs of the two alternate; of each the best of five counts.
 */
const ROUNDS = 100_000;
const RUNS = 5;
const MESSAGE_BYTES = 64;
const TIMEOUT = { timeoutMs: 10_000 };

type Kind = "semaphore" | "queue";

/** One exchange from the side that begins, and from the side that answers. */
interface Exchange {
  readonly begin: () => void;
  readonly answer: () => void;
}

const [role, kind, ...names] = process.argv.slice(2);
if (role === "answer") answer(kind as Kind, names);
else await ask();

async function ask(): Promise<void> {
  printMachine("there and back between two processes, both blocking");
  await withCompiled("there-and-back.c", async (program) => {
    for (const kind of ["semaphore", "queue"] as const) {
      const [bun, c]: [Percentiles[], Percentiles[]] = [[], []];
      for (let run = 0; run < RUNS; run++) {
        bun.push(await measure(kind));
        c.push(await outputOf<Percentiles>([program, kind, String(ROUNDS)]));
      }
      const [ours, theirs] = [best(bun), best(c)];
      console.log(
        `${kind.padEnd(10)} Bun p50 ${microseconds(ours.p50)} p99 ${microseconds(ours.p99)}   C p50 ${microseconds(theirs.p50)} p99 ${microseconds(theirs.p99)}   p50 ratio ${(ours.p50 / theirs.p50).toFixed(2)}`,
      );
    }
  });
}

async function measure(kind: Kind): Promise<Percentiles> {
  const names = [benchName("to"), benchName("from")];
  const made =
    kind === "queue"
      ? names.map((name) => MessageQueue.create(name, { maxmsg: 10, msgsize: MESSAGE_BYTES }))
      : [SharedMemory.create(names[0]!, 64)];
  if (made[0] instanceof SharedMemory) for (const offset of [0, 32]) Semaphore.at(made[0], offset, 0);
  try {
    const { begin } = exchange(kind, names);
    const child = Bun.spawn([process.execPath, import.meta.path, "answer", kind, ...names], {
      stdout: "inherit",
      stderr: "inherit",
    });
    const times = new Float64Array(ROUNDS);
    begin(); // the first one waits for the child to start
    for (let round = 0; round < ROUNDS; round++) {
      const start = Bun.nanoseconds();
      begin();
      times[round] = Bun.nanoseconds() - start;
    }
    await child.exited;
    return percentiles(times);
  } finally {
    for (const each of made) {
      each.unlink();
      each.close();
    }
  }
}

function answer(kind: Kind, names: string[]): void {
  const { answer } = exchange(kind, names);
  for (let round = 0; round <= ROUNDS; round++) answer();
}

function exchange(kind: Kind, names: readonly string[]): Exchange {
  return kind === "queue" ? queueExchange(names) : semaphoreExchange(names[0]!);
}

function queueExchange(names: readonly string[]): Exchange {
  const [to, from] = names.map((name) => MessageQueue.open(objectName(name))) as [MessageQueue, MessageQueue];
  const message = new Uint8Array(new ArrayBuffer(MESSAGE_BYTES));
  return {
    begin: () => {
      to.send(message, TIMEOUT);
      if (from.receive(message, TIMEOUT) === undefined) throw new Error("no answer within 10 s");
    },
    answer: () => {
      if (to.receive(message, TIMEOUT) === undefined) throw new Error("no question within 10 s");
      from.send(message, TIMEOUT);
    },
  };
}

function semaphoreExchange(name: string): Exchange {
  const memory = SharedMemory.open(objectName(name));
  const [to, from] = [Semaphore.at(memory, 0), Semaphore.at(memory, 32)];
  return {
    begin: () => {
      to.post();
      if (!from.wait(TIMEOUT)) throw new Error("no answer within 10 s");
    },
    answer: () => {
      if (!to.wait(TIMEOUT)) throw new Error("no question within 10 s");
      from.post();
    },
  };
}
