import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Address } from "./address.ts";
import type { TempDirectory } from "./temp-directory.ts";

/** The C programs that the project is measured with lie beside it, where it is built by its founders; elsewhere they are not there. */
const SOURCE = join(import.meta.dir, "../../../shared/bench/gfload.c");

/** Why the C client can not be used here; undefined when it can. */
export function cClientMissing(): string | undefined {
  if (!existsSync(SOURCE)) return "there is no ../shared/bench/gfload.c";
  if (Bun.which("gcc") === null) return "there is no gcc";
  return undefined;
}

/** Builds it into `directory` and returns the program's path. */
export function buildCClient(directory: TempDirectory): string {
  const program = directory.file("gfload");
  const { exitCode, stderr } = Bun.spawnSync(["gcc", "-O2", "-o", program, SOURCE, "-lpthread"]);
  if (exitCode !== 0) throw new Error(`Cannot build ${SOURCE}: ${stderr}`);
  return program;
}

/** What it prints at its end: counts of outcomes. */
export interface LoadResult {
  ok: number;
  err: number;
  notfound: number;
  wrong: number;
  timeout: number;
}

export interface Load {
  address: Address;
  path: string;
  threads: number;
  /** Of each thread. */
  requestsMax: number;
  /** The file that every body is compared with. */
  expected: string;
}

/** Runs it until every thread has made its requests, at most a minute. Leaves this thread's event loop free. */
export async function runCClient(program: string, load: Load): Promise<LoadResult> {
  const { address, path, threads, requestsMax, expected } = load;
  const child = Bun.spawn([program, address.host, String(address.port), path, String(threads), "60"], {
    env: { GFLOAD_MAXREQ: String(requestsMax), GFLOAD_CHECK: expected, GFLOAD_TIMEOUT: "20" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const output = await child.stdout.text();
  await child.exited;
  const counts = Object.fromEntries(
    [...output.matchAll(/(\w+)=(\d+)(?= )/g)].map(([, name, count]) => [name, Number(count)]),
  );
  const { ok = -1, err = -1, notfound = -1, wrong = -1, timeout = -1 } = counts;
  return { ok, err, notfound, wrong, timeout };
}
