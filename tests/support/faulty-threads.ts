/**
 * Loaded into a `webproxy` ahead of its own code (BUN_OPTIONS, see {@link faultyThreads}): whatever thread it starts is one in which a request can set off an error, as a bug of ours would, in the
 * middle of that thread's work for it. Nothing of the program is another for it: processes, threads, supervision are its own.
 *
 * In a main thread this has each Worker load this file first; in a Worker it waits for a request whose path names a fault that is armed.
 */
import { existsSync, unlinkSync, writeFileSync } from "node:fs";
import { Site } from "@proj/protocol";
import type { TempDirectory } from "./temp-directory.ts";

const ARMED = "WEBPROXY_TEST_FAULTS";
/** The error's text, which the log has to hold. */
export const faultText = (path: string) => `A fault of the test at ${path}`;

/** How a thread fails, by the end of the path: an error that nobody catches, and a promise that nobody waits for. */
const FAILS: Record<string, (path: string) => void> = {
  throws(path) {
    throw new Error(faultText(path));
  },
  rejects(path) {
    void Promise.reject(new Error(faultText(path)));
  },
};

/** The environment of a `webproxy` whose threads have these faults, and what arms one of them, to happen once or whenever it is met. */
export function faultyThreads(directory: TempDirectory) {
  return {
    env: { BUN_OPTIONS: `--preload=${import.meta.path}`, [ARMED]: directory.path },
    arm: (path: string, often: Often) => writeFileSync(fileOf(directory.path, path, often), ""),
  };
}

type Often = "once" | "always";

function fileOf(directory: string | undefined, path: string, often: Often): string {
  return `${directory}/${often}${path.replaceAll("/", "_")}`;
}

/** A path is `/SIDE/HOW`. */
function failWhere(side: "proxy" | "cache", path: string): void {
  const [, where, how = ""] = path.split("/");
  if (where === side && isArmed(path)) FAILS[how]?.(path);
}

/** Whoever takes a file away that is for once is the one that fails: its successor serves the same request. */
function isArmed(path: string): boolean {
  const { [ARMED]: directory } = process.env;
  if (existsSync(fileOf(directory, path, "always"))) return true;
  try {
    unlinkSync(fileOf(directory, path, "once"));
    return true;
  } catch {
    return false;
  }
}

if (process.env[ARMED] !== undefined) {
  if (Bun.isMainThread) {
    const ProgramsWorker = globalThis.Worker;
    globalThis.Worker = class extends ProgramsWorker {
      constructor(url: string | URL, options?: WorkerOptions) {
        super(url, { ...options, preload: import.meta.path });
      }
    };
  } else {
    const { mayBeLeftBy, rulingOn } = Site.prototype;
    // The proxy asks the first of each request that it routes, the cache the other of each that it is asked, and the proxy too of some.
    Site.prototype.mayBeLeftBy = function (path) {
      failWhere("proxy", path);
      return mayBeLeftBy.call(this, path);
    };
    if (Bun.main.endsWith("shard-thread.ts")) {
      Site.prototype.rulingOn = function (target) {
        failWhere("cache", target);
        return rulingOn.call(this, target);
      };
    }
  }
}
