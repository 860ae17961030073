/**
 * How long is it from `webproxy` to its ready line? Started again and again with an empty store, on free ports; beside it, in turn, a Bun that evaluates nothing: what
 * no program on it can go below, and the command starts three of them (itself, cache, proxy).
 *
 *   bun run bench/ready.ts [--rounds 15] [--threads 2] [-- WEBPROXY OPTIONS]
 */
import { parseArgs } from "node:util";
import { Webproxy } from "../tests/support/webproxy.ts";
import { machine, median } from "./support/machine.ts";

const { values: given, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: "string", default: "15" }, threads: { type: "string", default: "2" } },
});
const PROMISED_MS = 400;

console.log(machine());
const origin = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("ok") });
const ready: number[] = [];
const bare: number[] = [];
try {
  for (let round = 0; round < Number(given.rounds); round++) {
    bare.push(await timeOf(() => Bun.spawn([process.execPath, "-e", "0"]).exited));
    const started = performance.now();
    await using webproxy = Webproxy.spawn({
      origin: `http://127.0.0.1:${origin.port}`,
      args: ["--threads", given.threads, ...positionals],
    });
    await webproxy.ready();
    ready.push(performance.now() - started);
  }
} finally {
  origin.stop(true);
}
report("bun -e 0", bare);
report("webproxy ready", ready);
console.log(`promised: ${PROMISED_MS} ms`);

async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

function report(name: string, times: readonly number[]): void {
  const sorted = [...times].sort((one, other) => one - other);
  const [least, most] = [sorted[0]!, sorted.at(-1)!].map((ms) => ms.toFixed(0));
  console.log(`${name.padEnd(15)} median ${median(times).toFixed(0)} ms (${least} to ${most}, ${times.length} runs)`);
}
