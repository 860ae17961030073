/**
 * Unique queries at full speed: do the limits of memory and disk hold at every look, and do hits go on?
 *
 *   bun run soak:flood [--seconds 60] [--clients 32]
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { SoakProgress } from "../support/soak-progress.ts";
import { Webproxy } from "../support/webproxy.ts";
import { isBodyOf, SoakOrigin } from "./soak-origin.ts";

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "60" }, clients: { type: "string", default: "32" } },
});
const MIB = 1024 * 1024;
const MEMORY = 16 * MIB;
const DISK = 64 * MIB;
const KEPT = Array.from({ length: 50 }, (_, index) => `/kept/${index}`);

using origin = new SoakOrigin(3_600_000);
await using webproxy = await Webproxy.start({
  origin: origin.url,
  args: ["--memory", "16MiB", "--disk", "64MiB", "--hot", "0"],
});
const counts = { flood: 0, kept: 0, keptHits: 0, wrong: 0, looks: 0 };
const most = { memory: 0, disk: 0, files: 0 };
const endMs = Date.now() + Number(values.seconds) * 1000;
using progress = new SoakProgress({
  label: "soak:flood",
  seconds: Number(values.seconds),
  counts: () =>
    `${counts.flood} unique, ${Math.floor((100 * counts.keptHits) / Math.max(1, counts.kept))}% hits, ${counts.wrong} wrong`,
});

async function ask(path: string): Promise<boolean> {
  const response = await fetch(`http://${webproxy.http.host}:${webproxy.http.port}${path}`, {
    signal: AbortSignal.timeout(20_000),
  });
  const bytes = await response.bytes();
  if (response.status !== 200 || !isBodyOf(bytes, path, Number(response.headers.get("x-version")))) counts.wrong++;
  return /webproxy; hit/.test(response.headers.get("cache-status") ?? "");
}

async function flood(): Promise<void> {
  while (Date.now() < endMs) await ask(`/flood?${counts.flood++}-${Math.random()}`);
}

async function keep(): Promise<void> {
  while (Date.now() < endMs) {
    for (const path of KEPT) {
      counts.kept++;
      if (await ask(path)) counts.keptHits++;
    }
  }
}

async function look(): Promise<void> {
  const directory = webproxy.directory.file("cache");
  while (Date.now() < endMs) {
    const { cache } = await webproxy.stats();
    most.memory = Math.max(most.memory, cache!.counters.memoryBytes);
    most.disk = Math.max(most.disk, cache!.counters.diskBytes);
    const files = readdirSync(directory, { recursive: true, encoding: "utf8" });
    const bytes = files.reduce(
      (sum, file) => sum + (statSync(join(directory, file), { throwIfNoEntry: false })?.blocks ?? 0) * 512,
      0,
    );
    most.files = Math.max(most.files, bytes);
    counts.looks++;
    await Bun.sleep(200);
  }
}

for (let use = 0; use < 4; use++) for (const path of KEPT) await ask(path);
await Promise.all([...Array.from({ length: Number(values.clients) }, flood), keep(), look()]);
const mib = (bytes: number) => `${(bytes / MIB).toFixed(1)} MiB`;
progress.say(
  `${counts.flood} unique queries, ${counts.kept} requests for what is popular, ${((100 * counts.keptHits) / counts.kept).toFixed(1)} % of them hits, ${counts.wrong} wrong`,
);
progress.say(
  `at ${counts.looks} looks at most: memory ${mib(most.memory)} of 16, disk ${mib(most.disk)} of 64 by our count, ${mib(most.files)} by du with directories`,
);
process.exitCode =
  counts.wrong === 0 && most.memory <= MEMORY && most.disk <= DISK && counts.keptHits / counts.kept > 0.9 ? 0 : 1;
