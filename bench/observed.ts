/**
 * What does it cost hits to be watched? HTTP hits a second (wrk, 32 connections, bodies of 1 KiB from the hot tier) in turns: with nobody watching; with a dashboard's
 * stream open and `webproxy top` running; and with each request written to an access log.
 *
 *   bun run bench/observed.ts [--rounds 8] [--seconds 2]
 */
import { parseArgs } from "node:util";
import { TempDirectory } from "../tests/support/temp-directory.ts";
import { MAIN, Webproxy } from "../tests/support/webproxy.ts";
import { machine, median } from "./support/machine.ts";

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "8" }, seconds: { type: "string", default: "2" } },
});
const rounds = Number(values.rounds);
const body = Buffer.alloc(1024, "x");

if (Bun.which("wrk") === null) {
  console.error("Cannot measure: there is no wrk; Debian's package wrk has it");
  process.exit(1);
}

using directory = new TempDirectory();
const origin = Bun.serve({
  port: 0,
  fetch: () => new Response(body, { headers: { "cache-control": "max-age=86400" } }),
});
const start = (...args: string[]) => Webproxy.start({ origin: `http://127.0.0.1:${origin.port}`, args });
await using plain = await start();
await using logged = await start("--access-log", directory.file("access.log"));

/** Requests a second. */
async function measure({ http }: Webproxy): Promise<number> {
  const url = `http://${http.host}:${http.port}/a`;
  const wrk = Bun.spawn(["wrk", "-t", "1", "-c", "32", "-d", `${values.seconds}s`, url], { stdout: "pipe" });
  const text = await new Response(wrk.stdout).text();
  const found = /Requests\/sec: +([\d.]+)/.exec(text)?.[1];
  if (found === undefined) throw new Error(`wrk said: ${text}`);
  return Number(found);
}

/** A dashboard's stream, read as a page reads it, and top in a terminal of its own, as long as `during` takes. */
async function watched(webproxy: Webproxy, during: () => Promise<number>): Promise<number> {
  const gone = new AbortController();
  const { host, port } = webproxy.admin;
  const stream = await fetch(`http://${host}:${port}/api/live`, { signal: gone.signal });
  const reading = stream.body!.pipeTo(new WritableStream()).catch(() => {});
  const socket = `bench-${process.pid}`;
  const top = `'${process.execPath}' '${MAIN}' top --channel ${webproxy.channel}`;
  Bun.spawnSync(["tmux", "-L", socket, "-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "40", top]);
  await Bun.sleep(1500); // its start is none of what is measured
  const rate = await during();
  Bun.spawnSync(["tmux", "-L", socket, "kill-server"]);
  gone.abort();
  await reading;
  return rate;
}

console.log(machine());
const rates = { unwatched: [] as number[], watched: [] as number[], logged: [] as number[] };
for (const webproxy of [plain, logged, plain, logged]) await measure(webproxy); // warm
rates.unwatched.push(await measure(plain));
for (let round = 0; round < rounds; round++) {
  rates.watched.push(await watched(plain, () => measure(plain)));
  rates.logged.push(await measure(logged));
  rates.unwatched.push(await measure(plain));
}
/** Beside the mean of the unwatched rounds before and after it: a machine that grows slower or faster takes no side. */
const percent = (name: "watched" | "logged") => {
  const ratios = rates[name].map((rate, round) => rate / ((rates.unwatched[round]! + rates.unwatched[round + 1]!) / 2));
  const sorted = ratios.sort((one, other) => one - other).map((ratio) => ((ratio - 1) * 100).toFixed(1));
  const at = (part: number) => sorted[Math.floor(part * (sorted.length - 1))];
  return `${((median(ratios) - 1) * 100).toFixed(1)} % (quartiles ${at(0.25)} and ${at(0.75)})`;
};
for (const [name, each] of Object.entries(rates))
  console.log(
    `${name.padEnd(10)} median ${Math.round(median(each))}/s of ${each.map((rate) => Math.round(rate)).join(" ")}`,
  );
console.log(
  `dashboard and top: ${percent("watched")}, access log: ${percent("logged")}: medians of the rounds' ratios`,
);
const lost = logged.stderr.match(/"message":"(\d+) requests are missing/g)?.length ?? 0;
console.log(`the log says ${lost} times that requests are missing`);
origin.stop(true);
