import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { testName, watchdog } from "../test/names.ts";
import { MessageQueue } from "./message-queue.ts";
import { objectName } from "./object-name.ts";
import { SegmentPool } from "./segment-pool.ts";

setDefaultTimeout(600_000);

// How it works: a child runs a fixed life in which every call into the C library and every atomic write is a numbered
// step, and kills itself before one of them. Whatever the number, what it leaves has to be repairable. IPC_CRASH_STRIDE=1
// tries every step; the default tries about 30 of each life, others in every run.
const { IPC_CRASH_STRIDE, SEED } = process.env;
const seed = Number(SEED ?? Math.floor(Math.random() * 2 ** 31));

/** A life takes a step or two more or fewer when a timer falls otherwise: then the last numbers may outlive it. */
function expectKilled(step: number, { signal, output }: { signal: string | null; output: string }): void {
  if (signal === null) expect(Number(output)).toBeLessThan(step);
  else expect({ step, signal, output }).toEqual({ step, signal: "SIGKILL", output: "" });
}

async function live(...args: string[]): Promise<{ signal: string | null; output: string }> {
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/../test/pool-crash-child.ts`, ...args], {
    stderr: "inherit",
  });
  try {
    const output = await watchdog(new Response(child.stdout).text(), `life ${args.join(" ")}`);
    await child.exited;
    return { signal: child.signalCode as string | null, output };
  } finally {
    child.kill("SIGKILL");
  }
}

function stepsToTry(steps: number): number[] {
  const stride = Number(IPC_CRASH_STRIDE ?? Math.max(1, Math.floor(steps / 30)));
  const chosen: number[] = [];
  for (let step = 1 + (seed % stride); step <= steps; step += stride) chosen.push(step);
  return chosen;
}

const filesOf = (prefix: string): string[] =>
  readdirSync("/dev/shm").filter((file) => file.startsWith(prefix.slice(1)));

test("SegmentPool is whole again wherever a member is killed", async () => {
  const prefix = testName();
  const segments = 20; // enough for members to keep one id ready
  const pool = SegmentPool.create(prefix, { segments, segmentBytes: 4096 });
  try {
    let other: SegmentPool | undefined;
    const dead = (): string => {
      other?.close();
      other = SegmentPool.open(prefix); // a member with a stocked and a held segment, for the child to reclaim
      const member = other.join();
      member.giveBack(member.tryTake()!);
      member.tryTake();
      return `${member.slot}`;
    };
    const whole = await live(prefix, "use", "Infinity", dead());
    expect(whole.signal).toBeNull();
    const steps = Number(whole.output);
    const tried = stepsToTry(steps);
    console.log(`seed ${seed}: ${tried.length} of ${steps} steps of a life`);
    for (const step of tried) {
      const slot = dead();
      expectKilled(step, await live(prefix, "use", `${step}`, slot));
      pool.reclaim();
      pool.reclaimMember(Number(slot));
      const { free, held, waiting, missing } = pool.counters();
      expect({ step, free, held, waiting, missing }).toEqual({ step, free: segments, held: 0, waiting: 0, missing: 0 });
      const member = pool.join();
      const ids = Array.from({ length: segments }, () => member.tryTake()?.id);
      expect({ step, distinct: new Set(ids).size, more: member.tryTake() }).toEqual({
        step,
        distinct: segments,
        more: undefined,
      });
      member.close();
      expect(filesOf(prefix).length).toBe(segments + 1);
    }
    (other as SegmentPool | undefined)?.close();
  } finally {
    pool.close();
    SegmentPool.unlinkAll(prefix);
  }
  expect(filesOf(prefix)).toEqual([]);
});

test("SegmentPool.unlinkAll() removes what a creator that was killed anywhere has left", async () => {
  const prefix = testName();
  try {
    const steps = Number((await live(prefix, "create", "Infinity")).output);
    const tried = stepsToTry(steps);
    console.log(`seed ${seed}: ${tried.length} of ${steps} steps of a creation`);
    for (const step of tried) {
      expectKilled(step, await live(prefix, "create", `${step}`));
      SegmentPool.unlinkAll(prefix);
      expect({ step, files: filesOf(prefix) }).toEqual({ step, files: [] });
      expect(MessageQueue.unlink(objectName(`${prefix}.free`))).toBe(false);
    }
  } finally {
    SegmentPool.unlinkAll(prefix);
  }
});
