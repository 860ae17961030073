import { closeSync, ftruncateSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";
import { endThread, holdThread } from "../support/thread-fault.ts";
import type { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";
import { type Arena, objectsIn } from "./namespace.ts";
import type { SeededRandom } from "./random.ts";

/** What faults are done to. */
export interface Target {
  readonly webproxy: Webproxy;
  readonly arena: Arena;
  readonly origin: { ask(what: "cut" | "heal"): Promise<unknown> };
  readonly random: SeededRandom;
}

type Side = "proxy" | "cache";

export interface Fault {
  name: string;
  /** How often, beside the others. */
  weight: number;
  /** Without an origin nothing that was not asked for before can be served: gaps are not its proxy's. */
  cutsOrigin?: boolean;
  needsOwnArena?: boolean;
  /** Resolves when nothing more is done, with the processes that this has ended or will end; the effect may last longer. */
  run(target: Target): Promise<readonly number[]>;
}

/** What a truncation did may show only now: then there is none for a moment. */
function pidOf({ webproxy }: Target, side: Side): Promise<number> {
  return eventually(30_000, `there is a ${side}`, async () => (await webproxy.stats())[side]?.pid);
}

function kill(side: Side): Fault {
  return {
    name: `kill the ${side}`,
    weight: 6,
    async run(target) {
      const pid = await pidOf(target, side);
      signal(pid, "SIGKILL");
      return [pid];
    },
  };
}

/** Stopped for a while that its supervisor bears, or for longer. */
function stop(side: Side, ms: { low: number; high: number }, isReplaced: boolean): Fault {
  return {
    name: `stop the ${side} for ${ms.low} to ${ms.high} ms`,
    weight: 2,
    async run(target) {
      const pid = await pidOf(target, side);
      signal(pid, "SIGSTOP");
      await Bun.sleep(target.random.between(ms.low, ms.high));
      signal(pid, "SIGCONT");
      return isReplaced ? [pid] : [];
    },
  };
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has been replaced meanwhile.
  }
}

function threadEnds(side: Side): Fault {
  return {
    name: `end a thread of the ${side}`,
    weight: 1,
    async run(target) {
      const pid = await pidOf(target, side);
      try {
        await endThread(pid, `${side} ${target.random.between(0, 1)}`);
      } catch {
        // It has just ended for another reason.
      }
      return [pid];
    },
  };
}

function threadHangs(side: Side): Fault {
  return {
    name: `hold a thread of the ${side} for a while`,
    weight: 1,
    async run(target) {
      const held = await holdThread(await pidOf(target, side), `${side} ${target.random.between(0, 1)}`).catch(
        () => undefined,
      );
      if (held === undefined) return []; // what a truncation did has shown just now: there is no such process any more
      await Bun.sleep(target.random.between(100, 3_000));
      await held[Symbol.asyncDispose]();
      return [];
    },
  };
}

/** Somebody cuts an object short that is mapped: whoever touches it is ended by SIGBUS, and nobody else. */
function truncate(what: string, pattern: RegExp): Fault {
  return {
    name: `truncate ${what}`,
    weight: 2,
    async run({ webproxy, arena, random }) {
      const names = objectsIn(arena, webproxy.channel).filter((name) => pattern.test(name));
      if (names.length === 0) return [];
      try {
        const file = openSync(join(arena.sharedMemory, random.pick(names)), "r+");
        ftruncateSync(file, random.pick([0, 4096]));
        closeSync(file);
      } catch {
        // It went away as we came.
      }
      return [];
    },
  };
}

function fill(what: string, directoryOf: (arena: Arena) => string): Fault {
  return {
    name: `fill ${what}`,
    weight: 2,
    needsOwnArena: true,
    async run({ arena, random }) {
      const file = join(directoryOf(arena), "filler");
      fillUp(file);
      await Bun.sleep(random.between(200, 3_000));
      rmSync(file, { force: true });
      return [];
    },
  };
}

function fillUp(path: string): void {
  const file = openSync(path, "w");
  const piece = Buffer.alloc(1024 * 1024, 1);
  try {
    for (let left = statfsSync(path).bfree * statfsSync(path).bsize; left > 0; left -= piece.length) {
      writeSync(file, piece, 0, Math.min(piece.length, left));
    }
  } catch {
    // Full before we knew.
  } finally {
    closeSync(file);
  }
}

const CUT_ORIGIN: Fault = {
  name: "cut the origin",
  weight: 2,
  cutsOrigin: true,
  async run({ origin, random }) {
    await origin.ask("cut");
    await Bun.sleep(random.between(200, 3_000));
    await origin.ask("heal");
    return [];
  },
};

const KILL_BOTH: Fault = {
  name: "kill both",
  weight: 1,
  async run(target) {
    const pids = await Promise.all([pidOf(target, "cache"), pidOf(target, "proxy")]);
    for (const pid of pids) signal(pid, "SIGKILL");
    return pids;
  },
};

const PURGE_ALL: Fault = {
  name: "purge everything",
  weight: 1,
  async run({ webproxy }) {
    const { host, port } = webproxy.admin;
    await fetch(`http://${host}:${port}/api/purge`, {
      method: "POST",
      headers: { "content-type": "application/json", connection: "close" },
      body: JSON.stringify({ all: true }),
    });
    return [];
  },
};

export const FAULTS: readonly Fault[] = [
  kill("cache"),
  kill("proxy"),
  KILL_BOTH,
  stop("cache", { low: 20, high: 3_000 }, false),
  stop("cache", { low: 6_000, high: 8_000 }, true),
  stop("proxy", { low: 20, high: 200 }, false),
  stop("proxy", { low: 1_500, high: 2_500 }, true),
  threadEnds("cache"),
  threadEnds("proxy"),
  threadHangs("cache"),
  threadHangs("proxy"),
  truncate("a segment", /\.pool\.seg\./),
  truncate("a body on loan", /\.body\./),
  truncate("a control block", /\.(?:proxy|cache)$/),
  truncate("the pool's table", /\.pool\.pool$/),
  fill("/dev/shm", (arena) => arena.sharedMemory),
  fill("the disk", (arena) => arena.disk),
  CUT_ORIGIN,
  PURGE_ALL,
];

export function someFault(random: SeededRandom, { isOwn }: Arena): Fault {
  const possible = FAULTS.filter(({ needsOwnArena }) => isOwn || needsOwnArena !== true);
  let at = random.next() * possible.reduce((sum, { weight }) => sum + weight, 0);
  const chosen = possible.find(({ weight }) => {
    at -= weight;
    return at < 0;
  });
  return chosen ?? possible[0]!;
}
