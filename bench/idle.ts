/**
 * What does a webproxy cost that has nothing to do? Processor time and context switches of each of its processes, with a store on disk and the admin port open, and of an idle nginx (two
 * workers) and Varnish beside it, in the same seconds. Needs nginx and varnish.
 *
 *   bun run bench/idle.ts [--after 10] [--seconds 20] [-- WEBPROXY OPTIONS]
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { freePort } from "../tests/support/free-port.ts";
import { TempDirectory } from "../tests/support/temp-directory.ts";
import { Webproxy } from "../tests/support/webproxy.ts";
import { machine } from "./support/machine.ts";
import { childrenOf, find, listens, requirePrograms, nginx as startNginx } from "./support/peers.ts";

const PROMISED_PERCENT = 2;

/** What a thread has had so far. */
interface Had {
  readonly ranNs: number;
  readonly switches: number;
}

const { values: given, positionals } = parseArgs({
  allowPositionals: true,
  options: { after: { type: "string", default: "10" }, seconds: { type: "string", default: "20" } },
});
requirePrograms("nginx", "varnishd");
console.log(machine());

using directory = new TempDirectory({ mode: 0o777 });
using origin = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("ok") });
const [nginxPort, varnishPort] = [freePort(), freePort()];
const nginx = await startNginx(directory, { name: "nginx", port: nginxPort, location: "location / { return 204; }" });
const vcl = directory.file("origin.vcl");
writeFileSync(vcl, `vcl 4.1; backend default { .host = "127.0.0.1"; .port = "${origin.port}"; }`);
const listener = ["-F", "-a", `127.0.0.1:${varnishPort}`, "-f", vcl, "-n", `${directory.path}/varnish`];
const varnish = Bun.spawn([find("varnishd")!, ...listener], { stdio: ["ignore", "ignore", "ignore"] });
try {
  await listens("varnish", varnishPort);
  await using webproxy = await Webproxy.start({
    origin: `http://127.0.0.1:${origin.port}`,
    args: ["--threads", "2", ...positionals],
  });
  await Bun.sleep(Number(given.after) * 1000);
  const trees = [webproxy.pid, nginx.pid, varnish.pid].map(treeOf);
  const before = new Map(trees.flat().map((pid) => [pid, hadBy(pid)]));
  const began = performance.now();
  await Bun.sleep(Number(given.seconds) * 1000);
  const seconds = (performance.now() - began) / 1000;
  for (const pids of trees) report(pids, before, seconds);
  console.log(`promised of webproxy: ${PROMISED_PERCENT} % of a core in all`);
} finally {
  nginx.kill();
  varnish.kill();
  await Promise.all([nginx.exited, varnish.exited]);
}

function treeOf(pid: number): number[] {
  return [pid, ...childrenOf(pid).flatMap(treeOf)];
}

/** All threads of a process that are there now, by their ids. */
function hadBy(pid: number): Map<string, Had> {
  return new Map(
    readdirSync(`/proc/${pid}/task`).flatMap((thread) => {
      try {
        const task = `/proc/${pid}/task/${thread}`;
        const switches = readFileSync(`${task}/status`, "latin1").matchAll(/voluntary_ctxt_switches:\s*(\d+)/g);
        const ranNs = Number(readFileSync(`${task}/schedstat`, "latin1").split(" ")[0]);
        return [
          [thread, { ranNs, switches: [...switches].reduce((sum, [, count]) => sum + Number(count), 0) }] as const,
        ];
      } catch {
        return []; // it has ended just now
      }
    }),
  );
}

function report(pids: readonly number[], before: ReadonlyMap<number, ReadonlyMap<string, Had>>, seconds: number): void {
  let all = { percent: 0, switches: 0 };
  for (const pid of pids) {
    const own = { percent: 0, switches: 0 };
    for (const [thread, now] of hadBy(pid)) {
      const then = before.get(pid)?.get(thread) ?? { ranNs: 0, switches: 0 };
      own.percent += (now.ranNs - then.ranNs) / 1e7 / seconds;
      own.switches += (now.switches - then.switches) / seconds;
    }
    all = { percent: all.percent + own.percent, switches: all.switches + own.switches };
    print(nameOf(pid, pids), own);
  }
  print("  in all", all);
}

function print(name: string, { percent, switches }: { percent: number; switches: number }): void {
  console.log(
    `${name.padEnd(24)}${percent.toFixed(2).padStart(6)} % of a core ${switches.toFixed(0).padStart(5)} context switches a second`,
  );
}

/** As the process list shows it, as far as one differs from another. */
function nameOf(pid: number, pids: readonly number[]): string {
  const words = readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0");
  const role = words.find((word) => ["cache", "proxy", "spare"].includes(word));
  if (role === "spare") return `webproxy ${role} ${words.find((word) => word.startsWith("--for="))?.slice(6)}`;
  if (role !== undefined) return `webproxy ${role}`;
  if (words.some((word) => word.includes("main.ts"))) return "webproxy supervisor";
  return `${readFileSync(`/proc/${pid}/comm`, "latin1").trim()}${pid === pids[0] ? "" : " child"}`;
}
