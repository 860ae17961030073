/**
 * How fast is an HTTP hit beside nginx and Varnish? Runs ../shared/bench/compare.mjs, which starts all three on this machine and takes turns;
 * needs nginx, varnishd and wrk. What is given goes to compare.mjs (--rounds, --seconds, --conns, --sizes); behind `--`, to webproxy.
 *
 * With --bare a Bun server that answers from memory takes webproxy's place: what can be had at most.
 *
 *   bun run bench/hit.ts [--bare] [--shared DIR] [--rounds 3] [--seconds 3] ... [-- WEBPROXY OPTIONS]
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { SHARED_BENCH } from "../tests/support/c-client.ts";
import { MAIN } from "../tests/support/webproxy.ts";
import { machine } from "./support/machine.ts";

const args = process.argv.slice(2);
const cut = args.includes("--") ? args.indexOf("--") : args.length;
const options = args.slice(0, cut);
const webproxyOptions = args.slice(cut + 1);
const isBare = options.includes("--bare");
if (isBare) options.splice(options.indexOf("--bare"), 1);
const at = options.indexOf("--shared");
const folder = at < 0 ? SHARED_BENCH : (options.splice(at, 2)[1] ?? SHARED_BENCH);

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
const command = isBare
  ? [process.execPath, join(import.meta.dir, "support/bare-server.ts"), "{http}"]
  : [process.execPath, MAIN, "start", ...own, "--threads", "2", ...webproxyOptions];
const child = Bun.spawn(["node", script, ...options, "--", ...command], { stdio: ["ignore", "inherit", "inherit"] });
process.exit(await child.exited);
