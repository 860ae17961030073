/**
 * How fast is an HTTP hit beside nginx and Varnish? Runs ../shared/bench/compare.mjs, which starts all three on this machine and takes turns;
 * needs nginx, varnishd and wrk. What is given goes to compare.mjs (--rounds, --seconds, --conns, --sizes); behind `--`, to webproxy.
 *
 * With --bare bun or --bare c a server that answers from memory and knows nothing of HTTP takes webproxy's place: what can be had at most. (The one in C needs gcc.)
 *
 *   bun run bench/hit.ts [--bare bun|c] [--shared DIR] [--rounds 3] [--seconds 3] ... [-- WEBPROXY OPTIONS]
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { SHARED_BENCH } from "../tests/support/c-client.ts";
import { TempDirectory } from "../tests/support/temp-directory.ts";
import { MAIN } from "../tests/support/webproxy.ts";
import { machine } from "./support/machine.ts";

const args = process.argv.slice(2);
const cut = args.includes("--") ? args.indexOf("--") : args.length;
const options = args.slice(0, cut);
const webproxyOptions = args.slice(cut + 1);
const bare = takeOption("--bare");
const folder = takeOption("--shared") ?? SHARED_BENCH;

const script = join(folder, "compare.mjs");
const missing = ["node", "nginx", "varnishd", "wrk"].filter((program) => Bun.which(program) === null);
if (!existsSync(script)) missing.push(script);
if (missing.length > 0) {
  console.error(
    `Cannot measure: there is no ${missing.join(", no ")}; Debian's packages nginx, varnish and wrk have the programs, --shared names the folder of compare.mjs`,
  );
  process.exit(1);
}

console.log(machine());
const listeners = ["--http-port", "{http}", "--getfile-port", "{getfile}", "--admin-port", "{admin}"];
const own = [
  "--origin",
  "{origin}",
  ...listeners,
  "--cache-dir",
  "{dir}/c",
  "--channel",
  `bench-${process.pid}`,
  "--quiet",
];
using directory = new TempDirectory();
const command = commandOf(bare);
const child = Bun.spawn(["node", script, ...options, "--", ...command], { stdio: ["ignore", "inherit", "inherit"] });
process.exitCode = await child.exited;

function takeOption(name: string): string | undefined {
  const at = options.indexOf(name);
  return at < 0 ? undefined : options.splice(at, 2)[1];
}

function commandOf(bare: string | undefined): string[] {
  if (bare === undefined) return [process.execPath, MAIN, "start", ...own, "--threads", "2", ...webproxyOptions];
  if (bare !== "bun" && bare !== "c") throw new Error(`There is no bare server in ${bare}: say --bare bun or --bare c`);
  if (bare === "bun") return [process.execPath, join(import.meta.dir, "support/bare-server.ts"), "{http}"];
  const program = directory.file("bare-server");
  const source = join(import.meta.dir, "support/bare-server.c");
  const { exitCode, stderr } = Bun.spawnSync(["gcc", "-O2", "-o", program, source, "-lpthread"]);
  if (exitCode !== 0) throw new Error(`Cannot build ${source}: ${stderr}`);
  return [program, "{http}"];
}
