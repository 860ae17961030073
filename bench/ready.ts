/**
 * How long is it from `webproxy` to its ready line? The packed command, as `bunx webproxy` runs it, started again and again with an empty store, on free ports; in turns with it the
 * repository's sources, as `bun run dev` does, and a Bun that evaluates nothing: what no program on it can go below, and the command starts three of them (itself, cache, proxy).
 *
 *   bun run bench/ready.ts [--rounds 15] [--threads 2] [-- WEBPROXY OPTIONS]
 */
import { parseArgs } from "node:util";
import { packedCommand } from "../tests/support/packed.ts";
import { TempDirectory } from "../tests/support/temp-directory.ts";
import { type StartOptions, Webproxy } from "../tests/support/webproxy.ts";
import { machine, median } from "./support/machine.ts";

const { values: given, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: "string", default: "15" }, threads: { type: "string", default: "2" } },
});
const PROMISED_MS = 400;

console.log(machine());
const origin = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("ok") });
using directory = new TempDirectory({ mode: 0o777 });
const command = packedCommand(directory);
const packed: number[] = [];
const sources: number[] = [];
const bare: number[] = [];
try {
  for (let round = 0; round < Number(given.rounds); round++) {
    bare.push(await timeOf(() => Bun.spawn([process.execPath, "-e", "0"]).exited));
    packed.push(await readyAfter(command));
    sources.push(await readyAfter({}));
  }
} finally {
  origin.stop(true);
}
report("bun -e 0", bare);
report("webproxy, packed", packed);
report("from its sources", sources);
console.log(`promised: ${PROMISED_MS} ms`);

async function readyAfter(how: Partial<StartOptions>): Promise<number> {
  const args = ["--threads", given.threads, ...positionals];
  const started = performance.now();
  await using webproxy = Webproxy.spawn({ origin: `http://127.0.0.1:${origin.port}`, args, ...how });
  await webproxy.ready();
  return performance.now() - started;
}

async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

function report(name: string, times: readonly number[]): void {
  const sorted = [...times].sort((one, other) => one - other);
  const [least, most] = [sorted[0]!, sorted.at(-1)!].map((ms) => ms.toFixed(0));
  console.log(`${name.padEnd(17)} median ${median(times).toFixed(0)} ms (${least} to ${most}, ${times.length} runs)`);
}
