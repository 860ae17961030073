import { closeSync, fstatSync, ftruncateSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";
import { endThread, holdThread, threadOf } from "../support/thread-fault.ts";
import type { Stats, Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";
import { BYPASSED, fingerprintAt, type LiveSettings, type Which } from "./live-settings.ts";
import { type Arena, objectsIn } from "./namespace.ts";
import { isGone, limitMapped, mappedBytes, stateOf } from "./process-state.ts";
import type { SeededRandom } from "./random.ts";

/** What faults are done to. */
export interface Target {
  readonly webproxy: Webproxy;
  readonly arena: Arena;
  readonly origin: { readonly port: number; ask(what: "cut" | "heal"): Promise<unknown> };
  readonly settings: LiveSettings;
  readonly random: SeededRandom;
}

export type Side = "proxy" | "cache";

/** A fault that has been made. */
export interface Deed {
  /** Processes that this has ended or will end. */
  readonly ended: readonly number[];
  /** Whether what was to be done has come about, as it is seen by who has not done it. Asked while it lasts. */
  hasEffect(): boolean | Promise<boolean>;
  /** Ends what lasts. Undefined: it was over as soon as it was made, but for what follows from it. */
  end?(): Promise<void>;
}

export interface Fault {
  name: string;
  /** How often, beside the others. */
  weight: number;
  /** Without an origin nothing that was not asked for before can be served: gaps are not its proxy's. */
  cutsOrigin?: boolean;
  needsOwnArena?: boolean;
  /** How long it is left to last. */
  lastsMs?: Span;
  /** Undefined: there is nothing that it could be done to just now. */
  begin(target: Target): Promise<Deed | undefined>;
}

export interface Span {
  low: number;
  high: number;
}

/** So long it may take the kernel to do what it was told, on however busy a machine. */
const KERNEL_MS = 10_000;
/** So long it may take until a configuration that was read again holds. */
const RELOAD_MS = 20_000;

/** What a truncation did may show only now: then there is none for a moment. */
function pidOf({ webproxy }: Target, side: Side): Promise<number> {
  return eventually(30_000, `there is a ${side}`, async () => {
    const pid = (await webproxy.stats())[side]?.pid;
    return pid !== undefined && !isGone(pid) && pid;
  });
}

/** Whether both serve, none of them one of those that have been ended, and the supervisor says so. */
export async function servesAgain(webproxy: Webproxy, ended: readonly number[]): Promise<Stats | undefined> {
  const { host, port } = webproxy.admin;
  const { status } = await fetch(`http://${host}:${port}/readyz`, { headers: { connection: "close" } });
  if (status !== 200) return undefined;
  const stats = await webproxy.stats();
  const isGood = (side: Stats[Side]) => side?.state === "serving" && !ended.includes(side.pid);
  return isGood(stats.proxy) && isGood(stats.cache) ? stats : undefined;
}

export function kill(...sides: Side[]): Fault {
  return {
    name: sides.length > 1 ? "kill both" : `kill the ${sides[0]}`,
    weight: sides.length > 1 ? 1 : 3,
    async begin(target) {
      const pids = await Promise.all(sides.map((side) => pidOf(target, side)));
      for (const pid of pids) signal(pid, "SIGKILL");
      return { ended: pids, hasEffect: () => comesTrue(() => pids.every(isGone)) };
    },
  };
}

/** Stopped for a while that its supervisor bears, or for longer. */
export function stop(side: Side, lastsMs: Span, isReplaced: boolean): Fault {
  return {
    name: `stop the ${side} for ${lastsMs.low} to ${lastsMs.high} ms`,
    weight: 1,
    lastsMs,
    async begin(target) {
      const pid = await pidOf(target, side);
      signal(pid, "SIGSTOP");
      return {
        ended: isReplaced ? [pid] : [],
        hasEffect: async () => (await comesTrue(() => isGone(pid) || stateOf(pid) === "T")) && !isGone(pid),
        end: async () => signal(pid, "SIGCONT"),
      };
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

/** Soon: what the kernel does it does not do before the call returns. */
async function comesTrue(isSo: () => boolean): Promise<boolean> {
  try {
    return await eventually(KERNEL_MS, "it is done", isSo);
  } catch {
    return false;
  }
}

export function threadEnds(side: Side): Fault {
  return {
    name: `end a thread of the ${side}`,
    weight: 1,
    async begin(target) {
      const pid = await pidOf(target, side);
      const name = `${side} ${target.random.between(0, 1)}`;
      const thread = threadIn(pid, name);
      if (thread === undefined) return undefined; // it has just ended for another reason
      await endThread(pid, name).catch(() => {});
      return { ended: [pid], hasEffect: () => comesTrue(() => [undefined, "Z", "X"].includes(stateOf(pid, thread))) };
    },
  };
}

export function threadHangs(side: Side): Fault {
  return {
    name: `hold a thread of the ${side} for a while`,
    weight: 1,
    lastsMs: { low: 100, high: 3_000 },
    async begin(target) {
      const pid = await pidOf(target, side);
      const name = `${side} ${target.random.between(0, 1)}`;
      const thread = threadIn(pid, name);
      const held = thread === undefined ? undefined : await holdThread(pid, name).catch(() => undefined);
      if (held === undefined) return undefined; // what a truncation did has shown just now: there is no such process any more
      return {
        ended: [],
        hasEffect: () => stateOf(pid, thread) === "t",
        end: () => held[Symbol.asyncDispose]() as Promise<void>,
      };
    },
  };
}

function threadIn(pid: number, name: string): number | undefined {
  try {
    return threadOf(pid, name);
  } catch {
    return undefined;
  }
}

/** Somebody cuts an object short that is mapped: whoever touches it is ended by SIGBUS, and nobody else. */
export function truncate(what: string, pattern: RegExp): Fault {
  return {
    name: `truncate ${what}`,
    weight: 1,
    async begin({ webproxy, arena, random }) {
      const names = objectsIn(arena, webproxy.channel).filter((name) => pattern.test(name));
      if (names.length === 0) return undefined;
      const bytes = cut(join(arena.sharedMemory, random.pick(names)), random.pick([0, 4096]));
      return bytes === undefined ? undefined : { ended: [], hasEffect: () => bytes.after < bytes.before };
    },
  };
}

/** How long a file was before and is after it was cut to `length`, as the kernel says; undefined: it went away as we came. */
function cut(path: string, length: number): { before: number; after: number } | undefined {
  let file: number;
  try {
    file = openSync(path, "r+");
  } catch {
    return undefined;
  }
  try {
    const before = fstatSync(file).size;
    ftruncateSync(file, length < before ? length : 0);
    return { before, after: fstatSync(file).size };
  } finally {
    closeSync(file);
  }
}

export function fill(what: string, directoryOf: (arena: Arena) => string): Fault {
  return {
    name: `fill ${what}`,
    weight: 1,
    needsOwnArena: true,
    lastsMs: { low: 200, high: 3_000 },
    async begin({ arena }) {
      const directory = directoryOf(arena);
      const files: string[] = [];
      const fillUp = () => {
        const file = join(directory, `filler-${files.length}`);
        files.push(file);
        writeUntilFull(file);
        return statfsSync(directory).bavail === 0;
      };
      fillUp();
      return {
        ended: [],
        hasEffect: () => comesTrue(fillUp), // what has been let go of meanwhile is taken too
        async end() {
          for (const file of files) rmSync(file, { force: true });
        },
      };
    },
  };
}

function writeUntilFull(path: string): void {
  const file = openSync(path, "a");
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

/** Every further mapping is refused, as the kernel refuses memory: see prlimit(1), RLIMIT_AS. */
export function limitMemory(side: Side): Fault {
  return {
    name: `no more memory for the ${side}`,
    weight: 1,
    lastsMs: { low: 200, high: 2_000 },
    async begin(target) {
      const pid = await pidOf(target, side);
      const before = mappedBytes(pid);
      if (before === undefined) return undefined;
      // Less than it has: what it lets go of does not make room for something else.
      const limit = before.mapped - 32 * 1024 * 1024;
      limitMapped(pid, limit);
      const now = mappedBytes(pid);
      return {
        ended: [],
        hasEffect: () => isGone(pid) || (now?.limit === limit && now.mapped > limit),
        end: async () => limitMapped(pid, before.limit),
      };
    },
  };
}

export const CUT_ORIGIN: Fault = {
  name: "cut the origin",
  weight: 1,
  cutsOrigin: true,
  lastsMs: { low: 200, high: 3_000 },
  async begin({ origin }) {
    await origin.ask("cut");
    return {
      ended: [],
      hasEffect: async () => !(await isListening(origin.port)),
      async end() {
        await origin.ask("heal");
      },
    };
  },
};

async function isListening(port: number): Promise<boolean> {
  try {
    const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } });
    socket.terminate();
    return true;
  } catch {
    return false;
  }
}

export const PURGE_ALL: Fault = {
  name: "purge everything",
  weight: 1,
  async begin({ webproxy }) {
    const { host, port } = webproxy.admin;
    const response = await fetch(`http://${host}:${port}/api/purge`, {
      method: "POST",
      headers: { "content-type": "application/json", connection: "close" },
      body: JSON.stringify({ all: true }),
    });
    const { purged = 0 } = (await response.json()) as { purged?: number };
    return { ended: [], hasEffect: () => response.status === 200 && purged > 0 };
  },
};

/** Other sites, rules and certificates, and after a while those that held before: SIGHUP. */
export const RELOAD: Fault = {
  name: "read another configuration and back",
  weight: 2,
  lastsMs: { low: 0, high: 1_000 },
  async begin({ webproxy, settings }) {
    await reload(webproxy, settings, "second");
    return {
      ended: [],
      hasEffect: async () => {
        await eventually(RELOAD_MS, "the other configuration holds", async () => {
          const isBypassed = (await cacheStatusOf(webproxy, BYPASSED))?.includes("fwd=bypass") === true;
          return isBypassed && (await fingerprintAt(webproxy.https)) === settings.fingerprint("second");
        });
        return true;
      },
      end: () => reload(webproxy, settings, "first"),
    };
  },
};

async function reload(webproxy: Webproxy, settings: LiveSettings, which: Which): Promise<void> {
  const before = webproxy.stderr.length;
  settings.use(which);
  webproxy.kill("SIGHUP");
  const said = () => webproxy.stderr.slice(before);
  await eventually(RELOAD_MS, said, () => said().includes(settings.wordsOf(which)));
}

async function cacheStatusOf(webproxy: Webproxy, path: string): Promise<string | null | undefined> {
  const { host, port } = webproxy.http;
  try {
    const headers = { connection: "close" };
    const response = await fetch(`http://${host}:${port}${path}`, { headers, signal: AbortSignal.timeout(2_000) });
    await response.arrayBuffer();
    return response.headers.get("cache-status");
  } catch {
    return undefined; // nobody is there just now
  }
}

export const FILL_SHARED_MEMORY = fill("/dev/shm", (arena) => arena.sharedMemory);
export const FILL_DISK = fill("the disk", (arena) => arena.disk);

export const FAULTS: readonly Fault[] = [
  kill("cache"),
  kill("proxy"),
  kill("cache", "proxy"),
  stop("cache", { low: 20, high: 1_500 }, false),
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
  FILL_SHARED_MEMORY,
  FILL_DISK,
  limitMemory("cache"),
  limitMemory("proxy"),
  CUT_ORIGIN,
  PURGE_ALL,
  RELOAD,
];
