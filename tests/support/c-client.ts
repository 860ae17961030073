import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Address } from "./address.ts";
import type { TempDirectory } from "./temp-directory.ts";

/** The C programs that the project is measured with lie beside it, where it is built by its founders; elsewhere they are not there. */
export const SHARED_BENCH = join(import.meta.dir, "../../../shared/bench");

export type CProgram = "gfload" | "gfceil";

/** Why the C programs can not be used here; undefined when they can. */
export function cProgramsMissing(folder: string = SHARED_BENCH): string | undefined {
  if (!existsSync(join(folder, "gfload.c"))) return `there is no ${folder}/gfload.c`;
  if (Bun.which("gcc") === null) return "there is no gcc";
  return undefined;
}

/** Builds one of them into `directory` and returns the program's path. */
export function buildC(name: CProgram, directory: TempDirectory, folder: string = SHARED_BENCH): string {
  const program = directory.file(name);
  const source = join(folder, `${name}.c`);
  const { exitCode, stderr } = Bun.spawnSync(["gcc", "-O2", "-o", program, source, "-lpthread"]);
  if (exitCode !== 0) throw new Error(`Cannot build ${source}: ${stderr}`);
  return program;
}

/** What gfload prints at its end: counts of outcomes, and how fast it went. */
export interface LoadResult {
  outcomes: { ok: number; err: number; notfound: number; wrong: number; timeout: number };
  requestsPerSecond: number;
  /** 10^6 bytes. */
  megabytesPerSecond: number;
  p50Us: number;
  p99Us: number;
}

export interface Load {
  address: Address;
  path: string;
  threads: number;
  /** At most so long. */
  seconds: number;
  /** Of each thread. */
  requestsMax?: number;
  /** The file that every body is compared with. */
  expected?: string;
}

/** Runs gfload to its end. Leaves this thread's event loop free. */
export async function runGfload(program: string, load: Load): Promise<LoadResult> {
  const { address, path, threads, seconds, requestsMax, expected } = load;
  const child = Bun.spawn([program, address.host, String(address.port), path, String(threads), String(seconds)], {
    env: {
      GFLOAD_TIMEOUT: "20",
      ...(requestsMax !== undefined && { GFLOAD_MAXREQ: String(requestsMax) }),
      ...(expected !== undefined && { GFLOAD_CHECK: expected }),
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const output = await child.stdout.text();
  await child.exited;
  const value = (name: string) => {
    const number = new RegExp(`\\b${name}=([\\d.]+)`).exec(output)?.[1];
    if (number === undefined) throw new Error(`gfload has not said ${name}: ${output}`);
    return Number(number);
  };
  return {
    outcomes: {
      ok: value("ok"),
      err: value("err"),
      notfound: value("notfound"),
      wrong: value("wrong"),
      timeout: value("timeout"),
    },
    requestsPerSecond: value("req/s"),
    megabytesPerSecond: value("MB/s"),
    p50Us: value("p50us"),
    p99Us: value("p99us"),
  };
}
