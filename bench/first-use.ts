/**
 * What do a shard's other requests notice while many small responses are used for the first time in a life of the cache, from a disk that has nothing of them in memory? For each
 * of them a file has to be opened, its metadata read, and its body. One client takes them one after the other while another asks for a small one that is in the memory tier. One
 * shard, so that both have to pass it. As root, since the kernel is told to forget all files. What a slow disk does shows in a cgroup that may read only so often
 * (blkio.throttle.read_iops_device, or io.max).
 *
 *   bun run bench/first-use.ts [--responses 1000] [--rounds 3]
 */
import { readdirSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { someBytes } from "../tests/support/bytes.ts";
import { CountingOrigin } from "../tests/support/counting-origin.ts";
import { http } from "../tests/support/http-client.ts";
import { TempDirectory } from "../tests/support/temp-directory.ts";
import { Webproxy } from "../tests/support/webproxy.ts";
import { eventually } from "../tests/support/within.ts";
import { machine, median } from "./support/machine.ts";
import { describeTimes, percentile, timesUntil } from "./support/small-requests.ts";

const { values: given } = parseArgs({
  options: {
    responses: { type: "string", default: "1000" },
    rounds: { type: "string", default: "3" },
  },
});
const RESPONSES = Number(given.responses);
const BYTES = 3000;

console.log(machine());
using directory = new TempDirectory();
const store = directory.file("store");
await using origin = CountingOrigin.start();
const headers = { "Cache-Control": "max-age=360000" };
origin.set("/small", { body: someBytes(1000, 1), headers });
for (let index = 1; index <= RESPONSES; index++)
  origin.set(`/many/${index}`, { body: someBytes(BYTES, index), headers });
const options = {
  origin: origin.url,
  args: ["--cache-dir", store, "--hot", "0", "--memory", "64MiB", "--threads", "1", "--quiet"],
};
{
  await using webproxy = await Webproxy.start(options);
  await takeAll(webproxy);
  await eventually(120_000, "all of them on disk", () => filesIn(store) >= RESPONSES);
}
Bun.spawnSync(["sync"]);

const p99s: number[] = [];
for (let round = 0; round < Number(given.rounds); round++) {
  await using webproxy = await Webproxy.start(options);
  for (let use = 0; use < 3; use++) await http(webproxy.http, "/small");
  await Bun.sleep(1000); // its directories are listed
  writeFileSync("/proc/sys/vm/drop_caches", "3");
  const startedMs = performance.now();
  const times = await timesUntil(takeAll(webproxy), urlOfSmall(webproxy));
  const seconds = (performance.now() - startedMs) / 1000;
  p99s.push(percentile(times, 0.99));
  console.log(`${(RESPONSES / seconds).toFixed(0)} first uses a second: ${describeTimes(times)}`);
}
const asked = origin.requests.length - RESPONSES - 1;
console.log(`p99, median of the rounds: ${median(p99s).toFixed(2)} ms; asked for anew: ${asked}`);

function urlOfSmall({ http: { host, port } }: Webproxy): string {
  return `http://${host}:${port}/small`;
}

/** By another process, over one connection: this one would notice by itself what it does with them. */
async function takeAll({ http: { host, port } }: Webproxy): Promise<void> {
  const url = `http://${host}:${port}/many/[1-${RESPONSES}]`;
  const curl = Bun.spawn(["curl", "-sS", "--fail", "-o", "/dev/null", url], { stdio: ["ignore", "ignore", "inherit"] });
  if ((await curl.exited) !== 0) throw new Error("curl did not get them all");
}

function filesIn(path: string): number {
  return readdirSync(path, { recursive: true, encoding: "utf8" }).filter((name) => /^[0-9a-f]{2}\/./.test(name)).length;
}
